"""What the file of a net says of it."""

from __future__ import annotations

from typing import Any

import torch

from tasks.inference.export.program import named_shapes
from tasks.inference.trained_module import Trained
from tasks.training.build import RULES

OF_NET = ("task", "model", "norm", *RULES.values())  # groups of the configuration


def about(net: Trained) -> dict[str, Any]:
    """What other programs, and `zoo.load_net`, must know of a net."""
    signature = net.signature()
    return {
        "task": net.task,
        "config": built_of(net.config),
        "model_args": net.learned.model_args(net.learned.data),
        "weights": net.weights,
        "inputs": named_shapes(signature),
        "output": signature.output,
        **signature.about,
        "torch": torch.__version__,
    }


def built_of(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a run's configuration of which its net is built."""
    choices = {group: name for group, name in config["choices"].items() if group in OF_NET}
    return {"choices": choices, **{group: config[group] for group in choices if group != "task"}}
