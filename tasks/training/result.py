"""The result of a run: one record for `result.json`, the terminal and W&B."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from zoo.config import registry
from zoo.config.config import Config
from zoo.errors import quoted, shown
from zoo.run_folder import AT_BEST, SCHEMA
from zoo.seeding import branch_digest

BATCHES = 3  # that the digest of their order covers
WIDTH = 100  # columns of a line that would be longer
PARTS = ("train", "val", "test")
FILES = ("tasks.cnn.predict.PredictLabels", "tasks.unet.predict.PredictMasks")  # that want some
PACKAGES = ("torch", "pytorch-lightning", "torch-geometric")


@dataclass
class Result:
    """A record, where it lies and the exit code that it means.

    Args:
        record: as in `result.json`.
        folder: the run folder.
        exit_code: of the command.
    """

    record: dict[str, Any]
    folder: str
    exit_code: int = 0

    def table(self) -> str:
        """Metrics by part of the data at the last and the best step, and where the run lies."""
        record = self.record
        metrics: Mapping[str, float] = record["metrics"]
        names = [name for name in metrics if name.partition("/")[0] in PARTS]
        names = [name for name in names if not name.endswith(AT_BEST)]
        kinds = list(dict.fromkeys(name.partition("/")[2] for name in names))
        kinds = [kind for kind in kinds if "/" not in kind]  # not those of single classes
        parts = list(dict.fromkeys(name.partition("/")[0] for name in names))
        lines = []
        if metrics:
            last, best = f"step {record['steps']}", f"best val/loss: step {record['best_step']}"
            size = max(12, 2 + max(map(len, kinds)))
            wide = size * len(kinds)
            lines.append(f"{'':<6}{last:>{wide}}   {best:>{max(wide, len(best))}}")
            heading = "".join(f"{kind:>{size}}" for kind in kinds)
            lines.append(f"{'':<6}{heading}   {heading}")
        for part in parts:
            halves = (
                "".join(
                    f"{metrics.get(f'{part}/{kind}{at}', float('nan')):>{size}.4f}"
                    for kind in kinds
                )
                for at in ("", AT_BEST)
            )
            lines.append(f"{part:<6}" + "   ".join(halves))
        lines += single(metrics, parts[-1]) if parts else []
        others = [name for name in metrics if name.partition("/")[0] not in PARTS]
        lines += [f"{name} {metrics[name]:.4f}" for name in others]
        for name, value in record.get("chance", {}).items():
            lines.append(f"the best answer that ignores the input has {name} {value:.4f}")
        lines.append(
            f"{record['status']}: {record['task']}, {record['connection']}, {record['data']}, "
            f"depth {record['depth']}, seed {record['seed']}: "
            f"{record['steps']} steps in {record['seconds']:.1f} s, "
            f"{record['parameters']:,} parameters"
        )
        return "\n".join([*lines, f"run folder: {shown(self.folder)}"])

    def next_steps(self) -> str:
        """Two commands that follow a finished run: one that uses it, one that asks why."""
        task, rule = self.record["task"], self.record["connection"]
        verbs: dict[str, str] = registry.resolve("task", task).verbs  # type: ignore[attr-defined]
        verb = next((verb for verb in ("predict", "sample") if verb in verbs), "test")
        path = " path=FILES" if verbs.get(verb) in FILES else ""
        pair = "plain,residual" if rule in ("plain", "residual") else f"residual,{rule}"
        place = quoted([f"from={self.folder}"])
        return (
            f"next: python -m zoo {verb} {place}{path}\n"
            f"      python -m zoo compare task={task} connection={pair}"
        )


def single(metrics: Mapping[str, float], part: str) -> list[str]:
    """Lines of the metrics that belong to one class or level of noise, such as `test/iou/road`."""
    found: dict[str, list[str]] = {}
    for name, value in metrics.items():
        kind, _, which = name.rpartition("/")
        if kind.startswith(f"{part}/") and not which.endswith(AT_BEST):
            found.setdefault(kind, []).append(f"{which}\N{NO-BREAK SPACE}{value:.4f}")
    text = (textwrap.fill(f"{kind}  {', '.join(each)}", WIDTH) for kind, each in found.items())
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in text]


def versions() -> dict[str, str]:
    from zoo import __version__

    found = {name: version(name) for name in PACKAGES}
    return {"zoo": __version__, "python": platform.python_version(), **found}


def machine() -> dict[str, Any]:
    """What computes: the processor, its cores, the threads that share sums, and the GPUs."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cpu = names[0] if names else platform.processor()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }


def order_digest(task: Any) -> str:
    """SHA-256 over the first training batches: paired runs see the same ones in the same order."""
    digest = hashlib.sha256()
    for batch in itertools.islice(task.train_loader(1, 0), BATCHES):
        for leaf in tree_leaves(batch):
            data = leaf.cpu().numpy().tobytes() if isinstance(leaf, Tensor) else repr(leaf).encode()
            digest.update(data)
    return digest.hexdigest()


def new_record(config: Config, task: Any) -> dict[str, Any]:
    """The record of a run that has not begun; its branches are as drawn, before the init rule."""
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
        "examples": {part: len(places) for part, places in task.data.parts.items()},
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
        "command": quoted(["python", "-m", "zoo", "fit", *config.given]),
    }
