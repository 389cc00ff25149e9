"""The result of a run, for `result.json`, the terminal and W&B."""

from __future__ import annotations

import hashlib
import itertools
import platform
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from zoo.config.config import Config
from zoo.errors import quoted
from zoo.run_folder import SCHEMA
from zoo.seeding import branch_digest
from zoo.system.processor import processor

BATCHES = 3  # that the digest of their order covers
PACKAGES = ("torch", "pytorch-lightning", "torch-geometric")


def versions() -> dict[str, str]:
    """The versions of this project, of Python and of the libraries that compute."""
    from zoo import __version__

    packages = {name: version(name) for name in PACKAGES}
    return {"zoo": __version__, "python": platform.python_version(), **packages}


def machine() -> dict[str, Any]:
    """The processor, its cores, the threads that share a sum, and the GPUs."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {**processor(), "threads": torch.get_num_threads(), "gpus": gpus}


def order_digest(task: Any) -> str:
    """SHA-256 of the first training batches, which is equal where paired runs see the same ones."""
    digest = hashlib.sha256()
    for batch in itertools.islice(task.train_loader(), BATCHES):
        for leaf in tree_leaves(batch):
            data = leaf.cpu().numpy().tobytes() if isinstance(leaf, Tensor) else repr(leaf).encode()
            digest.update(data)
    return digest.hexdigest()


def new_result(config: Config, task: Any) -> dict[str, Any]:
    """The result of a run that has not begun; its branches are as drawn, before the init rule."""
    name, higher_is_better = task.primary
    return {
        "schema": SCHEMA,
        "status": "failed",
        "task": config.choices["task"],
        "model": config.choices["model"],
        "connection": config.choices["connection"],
        "long": config.choices.get("long"),
        "data": config.choices["data"],
        "depth": config.sections["model"]["depth"],
        "seed": config.seed,
        "metrics": {},
        "chance": task.chance_metrics(),
        "examples": {part: len(examples) for part, examples in task.data.parts.items()},
        "skipped": getattr(task.data, "skipped", 0),
        "data_notes": list(task.data.notes),
        "reason": "",
        "events": [],
        "lost_steps": 0,
        "primary": {
            "name": f"test/{name}",
            "value": None,
            "higher_is_better": higher_is_better,
        },
        "parameters": sum(p.numel() for p in task.model.parameters()),
        "steps": 0,
        "epochs": 0.0,
        "seconds": 0.0,
        "seconds_per_step": None,
        "peak_memory_bytes": 0,
        "versions": versions(),
        "machine": machine(),
        "data_digest": task.data_digest(),
        "branch_digest": branch_digest(task.model),
        "start_digest": "",
        "order_digest": order_digest(task),
        "command": quoted(["python", "-m", "zoo", "fit", *config.overrides]),
    }
