"""What a step that is left out must leave as it was, without a wait for the device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def begin_momentum(optimizer: Any) -> None:
    """Begins the momentum of SGD at 0, so that its fused step can leave out a first step as well.

    PyTorch would begin it with the first gradient, or with whatever the memory holds where that
    step is left out.
    """
    for group in optimizer.param_groups:
        for weight in group["params"] if group.get("momentum") else ():
            optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)


class RunningStatistics:
    """The running statistics of a model, those of each type copied at once.

    Args:
        model: on its device; the statistics stay its own memory.
    """

    def __init__(self, model: nn.Module):
        stored = model.state_dict(keep_vars=True)
        self.live: dict[torch.dtype, list[Tensor]] = {}
        for name, value in model.named_buffers():
            if name in stored:
                self.live.setdefault(value.dtype, []).append(value)
        self.before = {dtype: flat(values) for dtype, values in self.live.items()}

    def step(self, bad: Tensor) -> None:
        """Returns them to what they were after the step before, where `bad` `[]` is true."""
        for dtype, values in self.live.items():
            kept = torch.where(bad, self.before[dtype], flat(values))
            parts = kept.split([value.numel() for value in values])
            shaped = [part.view_as(value) for part, value in zip(parts, values, strict=True)]
            torch._foreach_copy_(values, shaped)
            self.before[dtype].copy_(kept)  # in place, as recorded steps need it


def flat(values: list[Tensor]) -> Tensor:
    """All numbers of some tensors in a row, `[n]`."""
    return torch.cat([value.flatten() for value in values])
