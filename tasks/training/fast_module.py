"""A Lightning module that leaves out what Lightning does in every step for nothing."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from tasks.fast_callback import HOOKS, Fast
from tasks.parts import whole
from tasks.recovery.nonfinite import NonFiniteGuard
from tasks.training.rates import in_float32


def signed(method: Callable[..., Any]) -> Any:
    """Returns a method that carries its signature, which Lightning would work out in every step."""
    vars(method)["__signature__"] = inspect.signature(method)
    return method


def nothing() -> None:
    """Does nothing."""


class FastModule(Fast, LightningModule):
    """A module with data on its device, whose gradients are freed right after the step.

    Attributes:
        watch_every: steps from one watched step to the next; 0: none is.
        rate: the learning rate of the last step.
        grad_norm: the norm `[]` of the gradient over all weights, before clipping, of the last
            step for which it was computed, as it is for a watched one.
        guard: keeps gradients that are not finite from the weights.
        graphs: the `StepGraphs` that take the training steps, if there are any.
        whole: gives a context within which the weights can be read as those of a model in one
            process; where they are in parts, every process enters it at once.
        alive: called again and again outside of steps, for a watchdog that would miss them.
    """

    guard: NonFiniteGuard | None = None
    graphs: Any = None
    whole: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    alive: Callable[[], None] = staticmethod(nothing)
    train_loss: Tensor
    watch_every = 0
    rate = math.nan
    grad_norm = torch.tensor(math.nan)
    hidden = (*HOOKS, "optimizer_zero_grad", "on_validation_model_zero_grad")  # freed by then

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets a text or None at once, where PyTorch would first search all parameters.

        Lightning sets the name of the hook that it calls some 30 times a step.
        """
        if (value is None or isinstance(value, str)) and name in self.__dict__:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, index: int) -> Any:
        return batch  # data lie on the device; Lightning would walk every batch

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips by norm, if asked to, and keeps the norm, of a watched step at least.

        The gradient is that of the whole step: accumulated, unscaled, the same in all processes.
        """
        watched = self.watch_every and (self.trainer.global_step + 1) % self.watch_every == 0
        watched = watched or self.graphs  # a recorded step is the same for all
        if not (gradient_clip_val or watched or (self.guard and self.guard.needs_norm)):
            if self.guard and self.guard.is_loss_lost(self.train_loss):  # on one CPU
                self.zero_grad()
            return
        groups = optimizer.param_groups
        weights = [w for group in groups for w in group["params"] if w.grad is not None]
        norm = whole(get_total_norm([w.grad for w in weights]))
        if gradient_clip_val:
            clip_grads_with_norm_(weights, gradient_clip_val, norm)
        self.grad_norm = norm
        if self.guard:
            self.guard.leave_out(optimizer, weights, norm)

    def take_step(self, optimizer: Any, closure: Callable[[], Any]) -> None:
        """Takes a step, or has the GPU repeat a recorded one, and frees the gradients.

        Args:
            optimizer: Lightning's.
            closure: Lightning's, which computes the loss and its gradients.
        """
        self.rate = optimizer.param_groups[0]["lr"]
        with in_float32(optimizer.param_groups):
            if self.graphs:
                self.graphs.step(self, optimizer, closure)
            else:
                optimizer.step(closure=closure)
                optimizer.zero_grad()

    def on_train_start(self) -> None:
        self.zero_grad()
