"""A Lightning module and callbacks that leave out what Lightning does in every step for nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

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
PLAIN = (str, type(None), torch.Tensor)
Kind = TypeVar("Kind", bound=type)


def lean(kind: Kind) -> Kind:
    """Takes the empty hooks inside the step away: Lightning passes over what it cannot call.

    A subclass defines those that it needs.
    """
    for hook in HOOKS:
        setattr(kind, hook, None)
    return kind


def signed(method: Callable[..., Any]) -> Any:
    """A method that carries its signature, which Lightning would work out in every step."""
    vars(method)["__signature__"] = inspect.signature(method)
    return method


@lean
class LeanModule(LightningModule):
    """A module with data on its device, whose gradients are freed right after the step."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Plain values skip the search for parameters: Lightning notes its hook 40 times a step."""
        if name in self.__dict__ and type(value) in PLAIN:
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

    # `optimizer_step` has freed them
    optimizer_zero_grad = None  # type: ignore[assignment]
    on_validation_model_zero_grad = None  # type: ignore[assignment]


@lean
class LeanCallback(Callback):
    """A callback without hooks inside the step but those that its class defines."""
