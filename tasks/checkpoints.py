"""Checkpoints with all random states, and signals that end a run at the end of a step."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning import Trainer

from tasks.lean import LeanCallback


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


class Keep(LeanCallback):
    """Saves `last.ckpt` every few minutes, when interrupted and at the end, with random states.

    Args:
        path: the checkpoint.
        minutes: between two checkpoints.
        interrupts: the signals that this process received.
        every: steps between two looks at signals and clock where several processes must agree.
    Attributes:
        stopped: the signal by which all processes ended the run, or 0.
    """

    def __init__(self, path: Path, minutes: float, interrupts: Interrupts, every: int):
        self.path = path
        self.seconds = 60 * minutes
        self.interrupts = interrupts
        self.every = every
        self.batches = 0
        self.stopped = 0
        self.saved = time.monotonic()

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        self.interrupts.listen()
        self.batches = trainer.global_step * trainer.accumulate_grad_batches

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        self.batches += 1
        looks = self.every if trainer.world_size > 1 else 1
        if self.batches % (looks * trainer.accumulate_grad_batches):
            return
        self.stopped = self.interrupts.received or 0
        due = time.monotonic() - self.saved > self.seconds
        if trainer.world_size > 1:
            wishes = torch.tensor([self.stopped, due], device=trainer.strategy.root_device)
            agreed = trainer.strategy.reduce(wishes, reduce_op="max")
            self.stopped, due = agreed.tolist()
        if self.stopped:
            trainer.should_stop = True
        elif due:
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        trainer.save_checkpoint(self.path)

    def state_dict(self) -> dict[str, Any]:
        kind, keys, position, gauss, cached = np.random.get_state(legacy=True)
        version, numbers, spare = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
            "numpy": [kind, torch.tensor(np.asarray(keys).tolist()), position, gauss, cached],
            "python": [version, list(numbers), spare],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.set_rng_state(state_dict["torch"].cpu())
        if state_dict["cuda"] and torch.cuda.is_available():  # all processes draw alike
            torch.cuda.set_rng_state(state_dict["cuda"][0].cpu())
        kind, keys, *rest = state_dict["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
        version, numbers, spare = state_dict["python"]
        random.setstate((version, tuple(numbers), spare))


def save_whole(content: Any, path: Path) -> None:
    """Writes a checkpoint beside its place and moves it there, on the same file system."""
    partial = path.with_name(f".{path.name}.tmp{os.getpid()}")
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, each one whole or not there."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        save_whole(checkpoint, Path(path))
