"""Sums over large tensors in double precision, piece by piece, so that no copy of one is made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOST = 2**18  # numbers of a piece


def pieces(x: Tensor, axis: int = 0) -> Sequence[Tensor]:
    """The parts of a tensor along an axis, each of about as many numbers as a piece may have."""
    if not x.ndim or not x.numel():
        return [x.detach()]
    return x.detach().split(max(1, MOST * x.shape[axis] // x.numel()), axis)


def square_sum(x: Tensor) -> Tensor:
    """The sum `[]` double of the squares of a tensor."""
    x = torch.view_as_real(x.detach().resolve_conj()) if x.is_complex() else x
    norms = [torch.linalg.vector_norm(part, dtype=torch.double) for part in pieces(x)]
    return torch.stack(norms).square().sum()


def together(numbers: Sequence[Tensor]) -> Tensor:
    """Some numbers `[]` as one tensor `[n]`, on the device of the first; none: on the CPU."""
    return torch.stack([x.to(numbers[0].device) for x in numbers]) if numbers else torch.zeros(0)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance `[C]` double of each channel, the second axis of a tensor."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
    count = x.numel() // x.shape[1]
    mean = torch.stack([part.double().sum(axes) for part in pieces(x)]).sum(0) / count
    apart = (part.double().sub_(mean.view(shape)).square_().sum(axes) for part in pieces(x))
    return mean, torch.stack([*apart]).sum(0) / count
