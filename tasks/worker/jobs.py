"""What a worker does for a comparison: measure a kind of run, or run a cell."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from torch.utils.flop_counter import FlopCounterMode

from tasks.training.build import build_task, build_trainer_options
from tasks.training.module import Task
from tasks.training.train import train
from zoo.config.compose import from_plain
from zoo.config.config import Config
from zoo.errors import Diverged
from zoo.run_folder import RunFolder
from zoo.seeding import redraw

STEPS = 3  # that are timed
SOURCES: dict[str, Any] = {}  # loaded data, for the next cell that asks for it


def remembered(source: Any) -> Any:
    """The data of a source, loaded once by a process."""
    key = json.dumps([type(source).__qualname__, vars(source)], sort_keys=True, default=repr)
    if key not in SOURCES:
        SOURCES.clear()  # memory for one
        SOURCES[key] = source.load()
    return SOURCES[key]


def configured(plain: dict[str, Any]) -> Config:
    """The configuration of a cell, without a mirror of its own."""
    rest = {key: value for key, value in plain.items() if key not in ("choices", "logger")}
    return from_plain(rest, {**plain["choices"], "logger": "none"}, "cell")


def measure(plain: dict[str, Any]) -> dict[str, Any]:
    """What a run will cost and what it will read: one step is counted, some are timed.

    FLOPs are those of a training step as PyTorch's counter sees them: multiplications and additions
    of dense products, convolutions and attention.
    """
    config = configured(plain)
    training, task = build_trainer_options(config), build_task(config, remembered)
    redraw(task.model, config.seed)
    if training.accelerator == "gpu":
        task = task.to("cuda")
    task.setup("fit")
    batches = iter(task.train_loader())
    counter = FlopCounterMode(display=False)
    with counter:
        step(task, next(batches))
    times = []
    for _ in range(STEPS):
        began = time.perf_counter()
        step(task, next(batches))
        times.append(time.perf_counter() - began)
    return {
        "data_digest": task.data_digest(),
        "flops": counter.get_total_flops(),
        "parameters": sum(p.numel() for p in task.model.parameters()),
        "steps": training.steps(task),
        "seconds": training.steps(task) * sorted(times)[STEPS // 2],
    }


def step(task: Task, batch: Any) -> None:
    """One training step without the optimiser."""
    task.model.zero_grad()
    task.loss(batch).backward()


def run_cell(plain: dict[str, Any], path: str) -> dict[str, Any]:
    """Trains and evaluates one run in a fresh folder; a run that diverges is a result as well."""
    config = configured(plain)
    training, task = build_trainer_options(config), build_task(config, remembered)
    folder = RunFolder(Path(path))
    folder.create()
    folder.write_config(config.plain(), config.overrides)
    with contextlib.suppress(Diverged):
        train(config, training, task, folder, None, figures=False)
    return {"status": folder.result()["status"]}
