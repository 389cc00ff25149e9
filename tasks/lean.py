"""A Lightning module and callbacks that leave out what Lightning does in every step for nothing."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule


class LeanModule(LightningModule):
    """A module with data on its device, whose gradients are freed right after the step."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Plain values skip the search for parameters: Lightning notes its hook 40 times a step."""
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

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        """Lightning would free them here, after the forward pass; `optimizer_step` did it."""


class LeanCallback(Callback):
    """A callback without hooks inside the step: Lightning passes over what it cannot call."""

    on_train_batch_start = None  # type: ignore[assignment]
    on_before_zero_grad = None  # type: ignore[assignment]
    on_before_backward = None  # type: ignore[assignment]
    on_after_backward = None  # type: ignore[assignment]
    on_before_optimizer_step = None  # type: ignore[assignment]
