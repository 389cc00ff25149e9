"""`fit` against the bare loop of the same task on the same device."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from tasks.bench.bare_loop import BareLoop
from tasks.bench.fit import Interleave, summary
from tasks.bench.gpu.clock import synchronised
from tasks.bench.gpu.sizes import Sizes
from tasks.training.attempt import attempt
from tasks.training.build import build_task, build_trainer_options
from tasks.training.layout import channels_last
from tasks.training.precision import float32_products
from tasks.training.process import logged
from zoo.config.compose import load
from zoo.run_folder import RunFolder
from zoo.seeding import redraw


def loops(task_name: str, sizes: Sizes, device: torch.device, *options: str) -> dict[str, Any]:
    """The time of a step of a whole run of a task, with its log, guards and checkpoints, and bare.

    Both train a copy of the same net on the same device, in turn, with validations at the same
    steps, and are timed by the wall when the device has done its work. The first block is left out.

    Args:
        task_name: of the task, at its defaults.
        sizes: of the run.
        device: of both.
        options: of the run alone, such as `trainer.graphs=true`.
    """
    place = "gpu" if device.type == "cuda" else "cpu"
    steps = sizes.cycle * (sizes.blocks + 1) + 1
    words = [f"trainer.accelerator={place}", f"trainer.max_steps={steps}", "logger=none"]
    words += ["trainer.max_epochs=null", f"trainer.validate_every={sizes.cycle}"]
    given = [f"task={task_name}", *words, *sizes.words.get(task_name, []), *options]
    config, _ = load(given)
    training = build_trainer_options(config)
    training.patience = None
    task = build_task(config)
    redraw(task.model, config.seed)
    twin = copy.deepcopy(task)
    if place == "gpu":
        channels_last(twin.model)
    twin.to(device).setup("fit")
    bar = tqdm(disable=True)
    with tempfile.TemporaryDirectory() as scratch, logged(None), float32_products(training.matmul):
        bare = BareLoop(twin, steps, training)
        interleave = Interleave(bare, sizes.cycle, bar, synchronised(device))
        training.extra_callbacks.append(interleave)
        folder = RunFolder(Path(scratch) / "run")
        folder.create()
        with attempt(config, training, task, folder, figures=False) as run:
            run.trainer.fit(task)
    found = summary(interleave.times[1:], sizes.cycle)
    return {**found, "ratio": found["fit_ms"] / found["bare_ms"]}
