"""What `fit` costs over a bare loop of the same model on the same tensors.

One Lightning run trains in short blocks of steps. After every block a bare loop takes as many steps
with a copy of the model on the same tensors, with validations at the same steps. Both are timed in
process CPU time, so a drift of the machine falls on both, and the paired differences give an
interval.
"""

from __future__ import annotations

import copy
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from tqdm import tqdm

from tasks.bench.bare_loop import BareLoop
from tasks.bench.conditions import one_process
from tasks.fast_callback import FastCallback
from tasks.recovery.checkpoints import AtomicCheckpointIO, Checkpointer
from tasks.recovery.signals import SignalHandler
from tasks.training.best_weights import BestWeights
from tasks.training.build import build_task
from tasks.training.loggers import NoLogger
from tasks.training.metrics_logger import MetricsLogger
from tasks.training.process import logged, seed_everything
from zoo.config.config import Config
from zoo.errors import ConfigError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.seeding import redraw

BLOCK_SECONDS = 0.1  # of process time that a block is meant to last
BLOCKS = 12  # the fewest
TOTAL_SECONDS = 72.0  # of process time that all blocks of both loops last at least, about


def table(record: dict[str, Any]) -> str:
    """The record as text: the time of a step of both loops, and their difference."""
    low, high = record["added_interval_ms"]
    return "\n".join(
        [
            f"bare loop   {record['bare_ms']:8.3f} ms a step, mean of {record['blocks']} blocks",
            f"fit         {record['fit_ms']:8.3f} ms a step",
            f"added       {record['added_ms']:8.3f} ms a step, 95 % within {low:.3f} to {high:.3f}",
            f"ratio       {record['fit_ms'] / record['bare_ms']:8.4f}",
            f"            process time, {record['steps_a_block']} steps a block, "
            f"{record['threads']} thread(s), torch {torch.__version__}",
        ]
    )


class Interleave(FastCallback):
    """Times each block of `fit`, and a block of the bare loop after it.

    Args:
        bare: the bare loop.
        size: steps of a block.
        bar: counts the blocks.
        clock: in seconds.
    """

    def __init__(
        self,
        bare: BareLoop,
        size: int,
        bar: tqdm[Any],
        clock: Callable[[], float] = time.process_time,
    ):
        self.bare, self.clock = bare, clock
        self.bar = bar
        self.size = size
        self.times: list[tuple[float, float]] = []
        self.began: float | None = None

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Ends a block and begins the next one where one is full."""
        if trainer.global_step % self.size:
            return
        now = self.clock()
        if self.began is not None:
            self.bare.run(self.size)
            self.times.append((now - self.began, self.clock() - now))
            self.bar.update()
        self.began = self.clock()


def bench(config: Config) -> Report:
    """Measures what `fit` adds to a step of a bare loop; the runs leave no files."""
    training = one_process(config)
    if training.compile:
        fix = "leave it out, or see what rules cost compiled by of=rules"
        raise ConfigError("both loops are eager", "trainer.compile=true", fix)
    task = build_task(config)
    redraw(task.model, config.seed)
    task.setup("fit")
    every = training.validate_every
    probe = BareLoop(copy.deepcopy(task), 1_000_000, training)
    probe.run(every)
    began = time.process_time()
    probe.run(every)
    step = (time.process_time() - began) / every  # seconds
    divisors = [n for n in range(1, every) if every % n == 0]  # so that cycles have whole blocks
    size = next((n for n in divisors if n * step >= BLOCK_SECONDS), every)
    cycles = math.ceil(max(BLOCKS * size, TOTAL_SECONDS / 2 / step) / every)
    blocks = cycles * every // size
    training.max_steps, training.max_epochs = size * (blocks + 1) + 1, None
    training.patience = None
    bar = tqdm(total=blocks + 1, unit="block", disable=None)
    interleave = Interleave(BareLoop(copy.deepcopy(task), training.max_steps, training), size, bar)
    seed_everything(config.seed)
    with tempfile.TemporaryDirectory() as scratch, SignalHandler() as interrupts, logged(None), bar:
        folder = RunFolder(Path(scratch) / "bench")
        folder.create()
        recorder = MetricsLogger(folder, NoLogger(), training.log_every, lambda steps: 0.0)
        keep = Checkpointer(
            Path(scratch) / "last.ckpt", training.save_minutes, interrupts, 10, False
        )
        callbacks = [interleave, recorder, BestWeights(None), keep]
        training.trainer(task, callbacks, [AtomicCheckpointIO()]).fit(task)
        recorder.close()
    record = summary(interleave.times[1:], size)
    return Report(record, table(record))


def summary(times: list[tuple[float, float]], size: int) -> dict[str, Any]:
    """The means of both loops and a t interval of their difference, in milliseconds a step.

    Args:
        times: seconds of each block of `fit` and of the bare loop.
        size: steps of a block.
    """
    from scipy import stats

    fit, bare = 1e3 * np.array(times).T / size
    added = fit - bare
    half = stats.t.ppf(0.975, len(added) - 1) * added.std(ddof=1) / len(added) ** 0.5
    return {
        "fit_ms": float(fit.mean()),
        "bare_ms": float(bare.mean()),
        "added_ms": float(added.mean()),
        "added_interval_ms": [float(added.mean() - half), float(added.mean() + half)],
        "blocks": len(added),
        "steps_a_block": size,
        "threads": torch.get_num_threads(),
    }
