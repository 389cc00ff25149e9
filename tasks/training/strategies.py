"""How the devices of a run share its work and its memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import torch

from zoo.errors import ConfigError

Strategy = Literal["auto", "ddp", "fsdp"]
WAIT = timedelta(minutes=30)  # validations and samples of another process included


def sharing(strategy: Strategy, devices: int) -> Literal["single", "ddp", "fsdp"]:
    """What several devices hold: all of the model or shares; ConfigError where there is one."""
    if devices == 1 and strategy != "auto":
        what = f"strategy={strategy} is for several devices, and there is one"
        fix = "give trainer.strategy=auto, or trainer.devices=2 or more"
        raise ConfigError(what, "trainer.strategy", fix)
    if devices == 1:
        return "single"
    return "ddp" if strategy == "auto" else strategy


def for_evaluation(training: Any) -> Any:
    """Lightning's strategy for a model that every device holds.

    Args:
        training: the options of training.
    """
    from tasks.training.ddp import DDP

    return "auto" if training.strategy == "single" else DDP(timeout=WAIT)


def for_training(training: Any) -> Any:
    """Lightning's strategy for training, with a limit on the time that processes wait.

    Args:
        training: the options of training.
    """
    from tasks.training.fsdp import FSDPStrategy

    if training.strategy != "fsdp":
        return for_evaluation(training)
    bf16 = torch.bfloat16 if training.precision == "bf16-mixed" else None
    return FSDPStrategy(bf16, timeout=WAIT)


def synchronised(training: Any, task: Any) -> bool:
    """Whether Lightning is to have batch norms take their statistics from the rows of all GPUs.

    Where each process computes all rows they have them already, and would count each several
    times: a running variance is divided by the count minus 1.

    Args:
        training: the options of training.
        task: that is trained.
    """
    return training.processes > 1 and training.accelerator == "gpu" and not task.undivided
