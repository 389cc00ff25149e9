"""A Lightning module and callbacks that leave out what Lightning does in every step for nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from pytorch_lightning import Callback, LightningModule

HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


def signed(method: Callable[..., Any]) -> Any:
    """A method that carries its signature, which Lightning would work out in every step."""
    vars(method)["__signature__"] = inspect.signature(method)
    return method


class Lean:
    """Hides Lightning's own hooks inside the step: it passes over what it cannot call.

    Those that a class or a parent of it defines are called as ever.
    """

    hidden: ClassVar[tuple[str, ...]] = HOOKS

    def __new__(cls, *_: Any, **__: Any) -> Any:
        self = super().__new__(cls)
        for hook in cls.hidden:
            own = [getattr(base, hook, None) for base in (Callback, LightningModule)]
            if getattr(cls, hook) in own:
                self.__dict__[hook] = None
        return self


class LeanCallback(Lean, Callback):
    """A callback without Lightning's empty hooks."""


class LeanModule(Lean, LightningModule):
    """A module with data on its device, whose gradients are freed right after the step."""

    hidden = (*HOOKS, "optimizer_zero_grad", "on_validation_model_zero_grad")  # freed by then

    def __setattr__(self, name: str, value: Any) -> None:
        """Names skip the search for parameters: Lightning notes its hook some 30 times a step."""
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
        """Clips by norm, without Lightning's checks of its own options in every step."""
        if gradient_clip_val:
            self.trainer.precision_plugin.clip_gradients(optimizer, gradient_clip_val)

    def on_train_start(self) -> None:
        self.zero_grad()

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None
    ) -> None:
        optimizer.step(closure=optimizer_closure)
        optimizer.zero_grad()
