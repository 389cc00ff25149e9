"""What a worker does for a comparison: measure the costs of a cell, or run it."""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.flop_counter import FlopCounterMode

from tasks.training.build import build_task, build_trainer_options
from tasks.training.module import Task
from tasks.training.outcomes import contributions
from tasks.training.precision import float32_products
from tasks.training.process import without_known_warnings
from tasks.training.together import Seat, run_together
from tasks.training.train import train
from tasks.worker.alone import why_alone
from tasks.worker.why import Why
from zoo.config import registry
from zoo.config.compose import change, from_plain
from zoo.config.config import Config
from zoo.config.tree import flatten
from zoo.errors import Diverged
from zoo.run_folder import OUTCOMES, RunFolder
from zoo.seeding import redraw
from zoo.system.launch import is_first

STEPS = 3  # that are timed
LOADED: dict[str, Any] = {}  # data, for the next cell that asks for it
COMPOSED: dict[str, Config] = {}  # defaults, by choices


def load_once(source: Any) -> Any:
    """The data of a source, which is loaded again only after other data."""
    key = json.dumps([type(source).__qualname__, vars(source)], sort_keys=True, default=repr)
    if key not in LOADED:
        LOADED.clear()  # memory for one
        LOADED[key] = source.load()
    return LOADED[key]


def cell_config(plain: dict[str, Any]) -> Config:
    """The configuration of a cell from its plain form, without W&B: the comparison sends all.

    Hydra composes the defaults of some choices once in a worker, which takes a tenth of a second.
    """
    choices = plain["choices"]
    left_out = ("choices", "logger") if choices["logger"] == "wandb" else ("choices",)
    key = json.dumps(choices)
    if key not in COMPOSED:
        logger = "none" if "logger" in left_out else choices["logger"]
        COMPOSED[key] = from_plain({}, {**choices, "logger": logger}, "cell")
    config = copy.deepcopy(COMPOSED[key])
    rest = {key: value for key, value in plain.items() if key not in left_out}
    change(config, flatten(rest), "cell")
    return config


def measure(plain: dict[str, Any], together: bool = False) -> dict[str, Any]:
    """The costs of a run and the digest of its data: one step is counted, some are timed.

    FLOPs are those of a training step as PyTorch's counter sees them: multiplications and additions
    of dense products, convolutions and attention.

    Args:
        plain: configuration of the run.
        together: whether to tell as well why the run must train alone, if it must.
    """
    config = cell_config(plain)
    training, task = build_trainer_options(config), build_task(config, load_once)
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
    alone = why_alone(config, training, task, next(batches)) if together else None
    return {
        "alone": alone,
        "data_digest": task.data_digest(),
        "flops": counter.get_total_flops(),
        "parameters": sum(p.numel() for p in task.model.parameters()),
        "steps": training.steps(task),
        "seconds": training.steps(task) * sorted(times)[STEPS // 2],
    }


def step(task: Task, batch: Any) -> None:
    """Computes the loss of a batch and its gradients."""
    task.model.zero_grad()
    task.loss(batch).backward()


def run_cell(
    plain: dict[str, Any], path: str, why: bool = False, seat: Seat | None = None
) -> dict[str, Any]:
    """Trains and evaluates one run in a fresh folder, and returns its status, diverged or not.

    Of several processes of a run the first one writes and tells it. A signal to end ends the
    worker as well: such a run has no result, and is lost.

    Args:
        plain: configuration of the run.
        path: of its folder.
        why: whether its stream is probed, at the start and at the end.
        seat: of a run that trains together with others.
    """
    config = cell_config(plain)
    training, task = build_trainer_options(config), build_task(config, load_once)
    look = Why(config.seed, training.precision) if why else None
    training.extra_callbacks += [each for each in (look, seat) if each]
    folder = RunFolder(Path(path)) if is_first() else None
    if folder:
        folder.create()
        folder.write_config(config.plain(), config.overrides)
    with contextlib.suppress(Diverged):
        report = train(config, training, task, folder, None, figures=False)
        if report and report.code:
            sys.exit(report.code)
        source = registry.resolve("data", config.choices["data"])
        if folder:
            write_outcomes(task, folder, splits=getattr(source, "redrawn", "") == "split")
        if look:
            look.probe(task, "end")
    if folder is None:  # the first process answers
        return {}
    if look:
        look.write(folder)
    if seat:
        folder.write_result(shared(folder.result(), seat.group.size))
    return {"status": folder.result()["status"]}


def run_cells(
    requests: Sequence[dict[str, Any]], reply: Callable[[dict[str, Any], Seat], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The replies to requests of runs that train together.

    The first run that ends brings back filters of warnings and the precision of products, for the
    others as well, so that both are set around all of them.

    Args:
        requests: of runs of one kind.
        reply: to a request, by a run that has a seat.
    """
    matmul = build_trainer_options(cell_config(requests[0]["config"])).matmul
    with without_known_warnings(), float32_products(matmul):
        return run_together([partial(reply, request) for request in requests])


def shared(result: dict[str, Any], runs: int) -> dict[str, Any]:
    """The result of a run with its share of the time of all that trained together with it.

    The peak of memory is that of all of them, and no run's.
    """
    seconds = {key: result[key] and result[key] / runs for key in ("seconds", "seconds_per_step")}
    return result | seconds | {"peak_memory_bytes": None, "together": runs}


def write_outcomes(task: Task, folder: RunFolder, splits: bool) -> None:
    """Writes what each test example adds to the primary metric, where the task knows it.

    Args:
        task: that was trained.
        folder: of its run.
        splits: whether other seeds split the same set otherwise; the numbers of the examples in it
            then stand beside their values, so that runs of several splits share them.
    """
    with task.evaluating():
        batches = [*filter(None, (task.outcomes(batch) for batch in task.loader("test")))]
    if batches:
        examples, values = contributions(batches)
        columns: dict[str, Any] = {"test": values.numpy().astype(np.float32)}
        if splits:
            columns["items"] = examples.numpy()
        np.savez_compressed(folder.path / OUTCOMES, **columns)
