"""The log of a run: a row every few steps, and figures on the way."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.trainer.states import TrainerFn

from tasks.fast_callback import FastCallback
from tasks.training.loggers import NoLogger
from tasks.training.module import Task
from tasks.training.progress import Progress
from zoo.errors import Diverged
from zoo.probes.mixing import net_mixing
from zoo.probes.plots import save
from zoo.run_folder import RunFolder
from zoo.system.atomic import room_for

NOTHING: Mapping[str, float | None] = {}


class MetricsLogger(FastCallback):
    """Writes a row to the log, `metrics.jsonl`, every few steps and after every validation.

    Beside the training loss a row has `train/lr`, the learning rate of its step, which all
    parameters share; `train/grad_norm`, the norm of its gradient before clipping, null where that
    is not finite (fp16 leaves such a step out); and `train/steps_per_second` since the row before
    it, without validations. Figures on the way go to `figures/`.

    Args:
        folder: the run folder; None in all but the first process.
        logger: receives every row and figure as well.
        every: steps between two rows.
        epochs: turns a number of steps into passes over the data.
        figures: whether some are drawn on the way.
    """

    state_key = "Record"  # in checkpoints

    def __init__(
        self,
        folder: RunFolder | None,
        logger: NoLogger,
        every: int,
        epochs: Callable[[int], float],
        figures: bool = True,
    ):
        self.folder = folder if figures else None
        self.path = folder.metrics if folder else Path()
        self.file = folder.metrics.open("a", encoding="utf-8") if folder else None
        self.logger = logger
        self.every = every
        self.epochs = epochs
        self.batches = 0
        self.progress: Progress | None = None
        self.began: tuple[int, float] | None = None
        self.ended = (0, 0.0)
        self.since = (0, 0.0)  # step and time from which the next row counts steps per second
        self.paused = 0.0
        self.shown: dict[str, Any] = {"curves": {}, "mixing": None}  # of the fresh model

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        if not trainer.global_step:
            with task.whole():
                self.show(task)
        self.batches = trainer.global_step * trainer.accumulate_grad_batches
        task.watch_every = self.every
        self.began = self.ended = self.since = (trainer.global_step, time.perf_counter())
        enabled = self.file is not None
        self.progress = Progress(int(trainer.max_steps), trainer.global_step, enabled)

    def show(self, task: Any) -> None:
        """Keeps in the first process what the fresh model shows."""
        if self.file:
            with task.evaluating():
                self.shown = {"curves": task.depth_profiles(), "mixing": net_mixing(task.model)}

    def state_dict(self) -> dict[str, Any]:
        if self.file:
            os.fsync(self.file.fileno())  # a checkpoint never knows more steps than the log
        return self.shown

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.shown = state_dict

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        self.batches += 1
        if self.batches % (self.every * trainer.accumulate_grad_batches) == 0:
            loss = train_loss(trainer, task)  # waits for the device
            known = loss if math.isfinite(loss) else None  # of a step that was left out
            self.row(trainer, {"train/loss": known}, self.step_values(trainer, task))

    def step_values(self, trainer: Trainer, task: Any) -> dict[str, float | None]:
        """Learning rate, norm of the gradient and steps per second of a row."""
        norm = float(task.grad_norm)
        now = (trainer.global_step, time.perf_counter())
        (step, moment), self.since = self.since, now
        return {
            "train/lr": task.rate,
            "train/grad_norm": norm if math.isfinite(norm) else None,
            "train/steps_per_second": (now[0] - step) / (now[1] - moment),
        }

    def on_validation_start(self, trainer: Trainer, task: Any) -> None:
        float(task.train_loss)  # steps that the device still works on are no validation
        self.paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, task: Any) -> None:
        step, moment = self.since
        self.since = (step, moment + time.perf_counter() - self.paused)

    def on_validation_epoch_end(self, trainer: Trainer, task: Any) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self.row(trainer, {f"val/{name}": v for name, v in task.metrics().items()})
            if task.draws_progress(trainer.global_step):
                with task.whole():
                    self.draw(trainer.global_step, task)

    def draw(self, step: int, task: Any) -> None:
        """Draws the figures on the way, in the first process."""
        if self.folder:
            for name, figure in task.progress_figures(step).items():
                path = self.folder.figures / f"{name}.png"
                save(figure, path)
                self.logger.figure(name, path, step)

    def row(
        self,
        trainer: Trainer,
        values: Mapping[str, float | None],
        beside: Mapping[str, float | None] = NOTHING,
    ) -> None:
        """Writes a row of values that are finite and shown, and of others beside them."""
        step = trainer.global_step
        for name, value in values.items():
            if value is not None and not math.isfinite(value):
                raise Diverged(
                    f"{name} is {value} at step {step}", "training", "lower optimizer.lr"
                )
        if self.file is None:
            return
        row = {"step": step, "epoch": round(self.epochs(step), 4), **values, **beside}
        line = json.dumps(row) + "\n"
        with room_for(self.path, lambda: len(line)):
            self.file.write(line)
            self.file.flush()
        self.logger.row(row)
        if self.progress:
            self.progress.update(step, values)

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        self.ended = (trainer.global_step, time.perf_counter())

    def seconds_per_step(self) -> float | None:
        """Seconds a step of this process took, validations included; None before the end."""
        steps = self.ended[0] - self.began[0] if self.began else 0
        return (self.ended[1] - self.began[1]) / steps if self.began and steps else None

    def close(self) -> None:
        """Closes file and bar, however the run ended."""
        if self.progress:
            self.progress.close()
        if self.file:
            with contextlib.suppress(OSError):  # of a full disk: the last row's write has said so
                self.file.close()


def train_loss(trainer: Trainer, task: Task) -> float:
    """The last training loss, averaged over processes."""
    loss = task.train_loss
    if trainer.world_size > 1:
        loss = trainer.strategy.reduce(loss.clone(), reduce_op="mean")
    return float(loss)
