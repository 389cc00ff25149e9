"""Mixed precision in fp16, whose loss is scaled so that small gradients do not vanish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning.plugins.precision import MixedPrecision as LightningMixedPrecision


class MixedPrecision(LightningMixedPrecision):
    """fp16 whose steps never wait for the device, and whose gradients are clipped unscaled.

    Lightning refuses a fused optimiser here, as that unscales within its step, after clipping; any
    other one waits in every step to be told whether the gradient is finite. Here gradients are
    unscaled before clipping and the fused step is told on the device whether to leave itself out.
    Checkpoints keep the scale under the name of this class, which is that of Lightning's.

    Args:
        device: type of the device.
    """

    def __init__(self, device: str):
        super().__init__("16-mixed", device)
        self.scaler: torch.amp.GradScaler

    def optimizer_step(  # type: ignore[override]
        self, optimizer: Any, model: Any, closure: Callable[[], Any], **kwargs: Any
    ) -> Any:
        """Takes a step, or leaves it out where a gradient is not finite, and moves the scale."""
        closure()
        self.scaler.unscale_(optimizer)
        self._after_closure(model, optimizer)
        result = self.scaler.step(optimizer, **kwargs)
        self.scaler.update()
        return result
