"""Activation memory by depth: kept, recomputed, or inverted by a reversible stream."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tasks.bench import one_process
from tasks.run import prepare
from zoo import registry
from zoo.config import Config
from zoo.errors import ConfigError
from zoo.init import redraw
from zoo.memory import peak_bytes

DEPTHS = (20, 56, 110, 218, 434, 866, 1202)
PICTURE = Path("runs/bench/memory.png")
WAYS = {  # name: connection and checkpointing
    "residual": ("residual", False),
    "residual, checkpointed": ("residual", True),
    "reversible": ("reversible", False),
}


@dataclass
class Memory:
    """Peak bytes of a training step by depth.

    Args:
        record: the figures.
    """

    record: dict[str, Any]

    def table(self) -> str:
        ways = self.record["bytes"]
        lines = [f"| depth | {' | '.join(ways)} |", "| --- " * (len(ways) + 1) + "|"]
        for i, depth in enumerate(self.record["depths"]):
            cells = " | ".join(f"{found[i] / 2**20:.1f} MiB" for found in ways.values())
            lines.append(f"| {depth} | {cells} |")
        lines.append(f"a batch of {self.record['batch']}; picture: {self.record['picture']}")
        return "\n".join(lines)

    def draw(self, path: Path) -> None:
        """Writes the picture."""
        from zoo.pictures import new_figure

        figure = new_figure(5, 3.4)
        axis = figure.subplots()
        for name, found in self.record["bytes"].items():
            axis.loglog(self.record["depths"], [b / 2**20 for b in found], marker="o", label=name)
        axis.set_xlabel("depth")
        axis.set_ylabel("peak of activations, MiB")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
        figure.savefig(path)


def bench(config: Config) -> Memory:
    """Counts the peak of a step of one task at growing depths, without norms after the write."""
    one_process(config)
    if config.choices["norm"] != "pre" or config.choices["task"] != "cnn":
        raise ConfigError("memory is compared on the CNN", "bench", "add task=cnn norm=pre")
    found: dict[str, list[int]] = {name: [] for name in WAYS}
    batch = 0
    for depth in tqdm(DEPTHS, unit="depth", disable=None):
        for name, (connection, checkpointed) in WAYS.items():
            arm = copy.deepcopy(config)
            arm.choices["connection"] = connection
            arm.sections["connection"] = registry.options("connection", connection)
            arm.sections["model"] |= {"depth": depth, "checkpoint": checkpointed}
            _, make_task = prepare(arm)
            task = make_task()
            redraw(task.model, config.seed)
            task.setup("fit")
            first = next(iter(task.train_loader(1, 0)))
            batch = task.batch_size or 0
            task.loss(first).backward()  # gradients have their memory before the count
            found[name].append(peak_bytes(functools.partial(task.loss, first)))
    record = {"depths": DEPTHS, "bytes": found, "batch": batch, "picture": str(PICTURE)}
    memory = Memory(record)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    memory.draw(PICTURE)
    return memory
