"""Memory and time of activations by depth: stored, recomputed, or computed backwards."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from tasks.bench.conditions import one_process
from tasks.training.build import build_task
from zoo.config.config import Config
from zoo.errors import ConfigError
from zoo.probes.live_bytes import peak_bytes
from zoo.report import Report
from zoo.seeding import redraw

DEPTHS = {"cnn": (20, 56, 110, 218, 434, 866, 1202), "transformer": (3, 6, 12, 24, 48)}
PICTURE = Path("runs/bench/memory.png")
ROUNDS = 5  # of one step under each way
WAYS = {  # name: connection and checkpointing
    "residual": ("residual", False),
    "residual, every third checkpointed": ("residual", 3),
    "residual, every second checkpointed": ("residual", 2),
    "residual, checkpointed": ("residual", True),
    "reversible": ("reversible", False),
}


def table(record: dict[str, Any]) -> str:
    """The record as a table: peak memory and time of a training step by depth."""
    ways = record["bytes"]
    lines = [f"| depth | {' | '.join(ways)} |", "| --- " * (len(ways) + 1) + "|"]
    for i, depth in enumerate(record["depths"]):
        cells = " | ".join(
            f"{peaks[i] / 2**20:.1f} MiB, {record['time'][name][i]:.2f}"
            for name, peaks in ways.items()
        )
        lines.append(f"| {depth} | {cells} |")
    batch, picture = record["batch"], record["picture"]
    lines.append(f"a batch of {batch}; peak, and time against `residual`; picture: {picture}")
    return "\n".join(lines)


def draw(record: dict[str, Any], path: Path) -> None:
    """Draws peak memory by depth into a file."""
    from zoo.probes.plots import new_figure

    figure = new_figure(5, 3.4)
    axis = figure.subplots()
    for name, peaks in record["bytes"].items():
        axis.loglog(record["depths"], [peak / 2**20 for peak in peaks], marker="o", label=name)
    axis.set_xlabel("depth")
    axis.set_ylabel("peak of activations, MiB")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    figure.savefig(path)


def bench(config: Config) -> Report:
    """Measures a training step of one task at growing depths, activations stored or not."""
    one_process(config)
    task = config.choices["task"]
    if config.choices["norm"] != "pre" or task not in DEPTHS:
        what = f"memory is compared for {', '.join(DEPTHS)} without norms after the writes"
        raise ConfigError(what, "bench", f"add task={task if task in DEPTHS else 'cnn'} norm=pre")
    peaks: dict[str, list[int]] = {name: [] for name in WAYS}
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    batch = 0
    for depth in tqdm(DEPTHS[task], unit="depth", disable=None):
        losses = {}
        for name, (connection, checkpoint) in WAYS.items():
            losses[name], batch = loss_of(config, connection, depth, checkpoint)
            losses[name]().backward()  # gradients have their memory before the count
            peaks[name].append(peak_bytes(losses[name]))
        rounds = np.array([[seconds(loss) for loss in losses.values()] for _ in range(ROUNDS)])
        for name, ratio in zip(WAYS, np.median(rounds / rounds[:, :1], axis=0), strict=True):
            times[name].append(float(ratio))
    record: dict[str, Any] = {"depths": DEPTHS[task], "bytes": peaks, "time": times}
    record |= {"batch": batch, "picture": str(PICTURE)}
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    draw(record, PICTURE)
    return Report(record, table(record))


def loss_of(
    config: Config, connection: str, depth: int, checkpoint: bool | int
) -> tuple[Callable[[], Tensor], int]:
    """A function that computes the loss `[]` of a fresh net on a batch, and the size of that batch.

    Args:
        config: of the task.
        connection: the rule.
        depth: of the net.
        checkpoint: which branches are recomputed.
    """
    variant = copy.deepcopy(config.with_choice("connection", connection))
    variant.sections["model"] |= {"depth": depth, "checkpoint": checkpoint}
    task = build_task(variant)
    redraw(task.model, config.seed)
    task.setup("fit")
    return functools.partial(task.loss, next(iter(task.train_loader()))), task.batch_size or 0


def seconds(loss: Callable[[], Tensor]) -> float:
    """The process time of computing a loss `[]` and its gradients, in seconds."""
    began = time.process_time()
    loss().backward()
    return time.process_time() - began
