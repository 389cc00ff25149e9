"""What happens beside the training step: the log, the best weights, checkpoints, interruption."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from tasks.base import Task
from tasks.progress import Progress
from zoo.errors import Diverged
from zoo.folder import RunFolder

Sink = Callable[[dict[str, Any]], None]


class Record(Callback):
    """Writes a row to `metrics.jsonl` and to W&B every few steps and after every validation.

    Args:
        folder: the run folder; None in all but the first process.
        mirror: receives every row as well.
        every: batches between two rows.
        epochs: turns a number of steps into passes over the data.
    """

    def __init__(
        self, folder: RunFolder | None, mirror: Sink, every: int, epochs: Callable[[int], float]
    ):
        self.file = folder.metrics.open("a", encoding="utf-8") if folder else None
        self.mirror = mirror
        self.every = every
        self.epochs = epochs
        self.batches = 0
        self.progress: Progress | None = None

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        enabled = self.file is not None
        self.progress = Progress(int(trainer.max_steps), trainer.global_step, enabled)

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        self.batches += 1
        if self.batches % self.every == 0:
            self.row(trainer, {"train/loss": train_loss(trainer, task)})

    def on_validation_epoch_end(self, trainer: Trainer, task: Any) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self.row(trainer, {f"val/{name}": v for name, v in task.metrics().items()})

    def row(self, trainer: Trainer, values: dict[str, float]) -> None:
        step = trainer.global_step
        for name, value in values.items():
            if not math.isfinite(value):
                raise Diverged(
                    f"{name} is {value} at step {step}", "training", "lower optimizer.lr"
                )
        if self.file is None:
            return
        row = {"step": step, "epoch": round(self.epochs(step), 4), **values}
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        self.mirror(row)
        if self.progress:
            self.progress.update(step, values)

    def close(self) -> None:
        """Closes file and bar, however the run ended."""
        if self.progress:
            self.progress.close()
        if self.file:
            self.file.close()


def train_loss(trainer: Trainer, task: Task) -> float:
    """The last training loss, averaged over processes."""
    loss = task.train_loss
    if trainer.world_size > 1:
        loss = trainer.strategy.reduce(loss.clone(), reduce_op="mean")
    return float(loss)


class Best(Callback):
    """Keeps the weights of the lowest validation loss and ends training without a better one.

    Args:
        patience: steps to wait for a better loss, or None.
    """

    def __init__(self, patience: int | None):
        self.patience = patience
        self.loss = math.inf
        self.step = 0
        self.weights: dict[str, torch.Tensor] = {}

    def on_validation_epoch_end(self, trainer: Trainer, task: Any) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        loss = task.metrics()["loss"]
        if loss < self.loss:
            self.loss, self.step = loss, trainer.global_step
            weights = task.model.state_dict()
            self.weights = {name: value.detach().clone() for name, value in weights.items()}
        elif self.patience and trainer.global_step - self.step >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.loss, self.step = state_dict["loss"], state_dict["step"]
        self.weights = state_dict["weights"]


class Interrupts:
    """Notes a signal and lets the step end; a second one stops at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.received: int | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        self.previous = {number: signal.getsignal(number) for number in self.SIGNALS}
        self.listen()
        return self

    def listen(self) -> None:
        """Takes the signals, also from Lightning, which would end the run with exit code 0."""
        for number in self.SIGNALS:
            signal.signal(number, self.note)

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number


class Keep(Callback):
    """Saves `last.ckpt` every few minutes, when interrupted and at the end, with all random states.

    Args:
        path: the checkpoint.
        minutes: between two checkpoints.
        interrupts: the signals received so far.
        every: batches between two looks at signals and clock where several processes must agree.
    """

    def __init__(self, path: Path, minutes: float, interrupts: Interrupts, every: int):
        self.path = path
        self.seconds = 60 * minutes
        self.interrupts = interrupts
        self.every = every
        self.batches = 0
        self.saved = time.monotonic()

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        self.interrupts.listen()

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        self.batches += 1
        stop = self.interrupts.received is not None
        due = time.monotonic() - self.saved > self.seconds
        if trainer.world_size > 1:
            if self.batches % self.every:
                return
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
            due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if stop:
            trainer.should_stop = True
        elif due:
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        trainer.save_checkpoint(self.path)

    def state_dict(self) -> dict[str, Any]:
        kind, keys, position, gauss, cached = np.random.get_state()
        version, numbers, spare = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
            "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, gauss, cached],
            "python": [version, list(numbers), spare],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.set_rng_state(state_dict["torch"].cpu())
        if len(state_dict["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in state_dict["cuda"]])
        kind, keys, *rest = state_dict["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
        version, numbers, spare = state_dict["python"]
        random.setstate((version, tuple(numbers), spare))


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there, on the same file system."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        partial = path.with_name(f".{path.name}.tmp{os.getpid()}")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
