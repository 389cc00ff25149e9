"""The weights of lowest validation loss, and the end of a run that finds no better ones."""

from __future__ import annotations

import math
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.trainer.states import TrainerFn

from tasks.fast_callback import FastCallback
from tasks.parts import whole
from tasks.training.module import Task


class BestWeights(FastCallback):
    """Keeps the weights of the lowest validation loss and ends training without a better one.

    Args:
        patience: steps to wait for a better loss, or None.
    """

    state_key = "Best"  # in checkpoints

    def __init__(self, patience: int | None):
        self.patience = patience
        self.begun = 0  # the step that this process goes on from
        self.loss = math.inf
        self.step = 0
        self.weights: dict[str, torch.Tensor] = {}

    def on_validation_epoch_end(self, trainer: Trainer, task: Any) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self.update(task.metrics()["loss"], trainer.global_step, task)
        self.end(trainer, trainer.global_step)

    def on_load_checkpoint(self, trainer: Trainer, task: Any, checkpoint: dict[str, Any]) -> None:
        self.begun = checkpoint["global_step"]

    def on_fit_start(self, trainer: Trainer, task: Any) -> None:
        """Ends a run at once whose patience was over when it was killed."""
        if self.begun * trainer.accumulate_grad_batches % int(trainer.val_check_interval) == 0:
            self.end(trainer, self.begun)

    def end(self, trainer: Trainer, step: int) -> None:
        """Ends training after enough steps without a better loss."""
        if self.patience and step - self.step >= self.patience:
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, task: Any) -> None:
        self.weights = {name: whole(value).cpu() for name, value in self.weights.items()}

    def update(self, loss: float, step: int, task: Task) -> bool:
        """Takes the task's weights if their loss is the lowest so far."""
        better = loss < self.loss
        if better:
            self.loss, self.step = loss, step
            weights = task.model.state_dict()
            self.weights = {name: value.detach().clone() for name, value in weights.items()}
        return better

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.loss, self.step = state_dict["loss"], state_dict["step"]
        self.weights = state_dict["weights"]
