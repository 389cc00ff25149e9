"""The layout in which a GPU's convolutions want their weights."""

from __future__ import annotations

import torch
from torch import nn

LAST = torch.channels_last


def channels_last(model: nn.Module) -> None:
    """Lays out the kernels of convolutions `[out, in, H, W]` in place with their channels last.

    Images lie so in all nets. With both alike a convolution on a GPU copies neither its weights,
    forward and backward, nor their gradient; the values are the same.
    """
    model.to(memory_format=LAST)  # type: ignore[call-overload]


def follow_layout(optimizer: torch.optim.Optimizer) -> None:
    """Lays out an optimiser's state as its weights lie; a fused step wants them alike.

    A checkpoint of a CPU has another layout.
    """
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            like = isinstance(value, torch.Tensor) and value.shape == weight.shape
            if like and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
