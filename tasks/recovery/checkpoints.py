"""Checkpoints with all random states, saved when they are due."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning import Trainer

from tasks.fast_callback import FastCallback
from tasks.parts import own
from tasks.recovery.signals import SignalHandler
from tasks.recovery.tensor_files import copy_checkpoint, save_checkpoint
from zoo.errors import Diverged
from zoo.probes.nonfinite_origin import first_of


class Checkpointer(FastCallback):
    """Saves `last.ckpt` every few minutes, when interrupted and at the end, with random states.

    A step is over when its validation is, so that a run which goes on has lost none of it.

    Args:
        path: the checkpoint.
        minutes: between two checkpoints.
        interrupts: the signals that this process received.
        every: steps between two looks at signals and clock where several processes must agree.
        anchors: whether `rollback.ckpt` keeps the checkpoint of the last validation.
    Attributes:
        stopped: the signal by which all processes ended the run, or 0.
    """

    state_key = "Keep"  # in checkpoints

    def __init__(
        self, path: Path, minutes: float, interrupts: SignalHandler, every: int, anchors: bool
    ):
        self.path = path
        self.seconds = 60 * minutes
        self.interrupts = interrupts
        self.every = every
        self.anchors = anchors
        self.batches = 0
        self.stopped = 0
        self.saved = time.monotonic()

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        self.interrupts.listen()
        self.batches = trainer.global_step * trainer.accumulate_grad_batches
        if self.anchors and not trainer.global_step:
            trainer.save_checkpoint(self.path)
        known = self.path.with_name("rollback.ckpt").exists()
        if self.batches % int(trainer.val_check_interval) == 0 or not known:
            self.anchor(trainer)

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        self.batches += 1
        whole = self.batches % trainer.accumulate_grad_batches == 0
        if whole and self.batches % int(trainer.val_check_interval):
            self.end_step(trainer, task)

    def on_validation_end(self, trainer: Trainer, task: Any) -> None:
        self.end_step(trainer, task, self.anchors)
        self.anchor(trainer)

    def anchor(self, trainer: Trainer) -> None:
        """Keeps the checkpoint of this step as the one to return to."""
        if self.anchors and trainer.is_global_zero:
            copy_checkpoint(self.path, self.path.with_name("rollback.ckpt"))

    def end_step(self, trainer: Trainer, task: Any, due: bool = False) -> None:
        """Saves what is due, asked for by a signal or the end of the run."""
        due = due or trainer.should_stop or trainer.global_step == trainer.max_steps
        looks = self.every if trainer.world_size > 1 else 1
        if self.batches % (looks * trainer.accumulate_grad_batches) == 0:
            self.stopped = self.interrupts.received or 0
            due = due or time.monotonic() - self.saved > self.seconds
            if trainer.world_size > 1:
                wishes = torch.tensor([self.stopped, due], device=trainer.strategy.root_device)
                agreed = trainer.strategy.reduce(wishes, reduce_op="max")
                self.stopped, due = agreed.tolist()
        if self.stopped:
            trainer.should_stop = True
            trainer.limit_val_batches = 0  # Lightning would validate where no run does
        if self.stopped or due:
            if task.guard:
                task.guard.look(trainer, task)
            refuse_lost_numbers(trainer, task)
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()

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


def refuse_lost_numbers(trainer: Trainer, task: Any) -> None:
    """Keeps a run from replacing a good checkpoint by one with numbers that are not finite.

    Errors:
        Diverged: a weight, a running statistic or the optimiser's memory is no longer finite.
    """
    tensors = dict(task.named_parameters())
    names = {id(parameter): name for name, parameter in tensors.items()}
    for optimizer in trainer.optimizers:
        for parameter, state in optimizer.state.items():
            name = names.get(id(parameter), "a parameter")
            tensors |= {f"{key} of {name}": value for key, value in state.items()}
    tensors = {name: own(value) for name, value in tensors.items() if is_real(value)}
    finite = {name: value.detach().isfinite().all() for name, value in tensors.items()}
    buffers = {name: value for name, value in task.named_buffers() if is_real(value)}
    finite |= {name: ~value.isnan().any() for name, value in buffers.items()}  # masks hold -inf
    device = trainer.strategy.root_device
    are_finite = torch.stack([each.to(device) for each in finite.values()])
    if trainer.world_size > 1:  # each may have parts of its own
        are_finite = trainer.strategy.reduce(are_finite.int(), reduce_op="min")
    lost = [name for name, good in zip(finite, are_finite.tolist(), strict=True) if not good]
    if lost:
        what = f"{first_of(lost)} are not finite at step {trainer.global_step}"
        raise Diverged(what, "training", "lower optimizer.lr; earlier checkpoints are kept")


def is_real(value: Any) -> bool:
    """Whether a value is a tensor of floating point numbers."""
    return isinstance(value, torch.Tensor) and value.is_floating_point()


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints, each one whole, with its digest and the one before it."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        last = Path(path).name == "last.ckpt"
        save_checkpoint(
            checkpoint, Path(path), Path(path).with_name("previous.ckpt") if last else None
        )
