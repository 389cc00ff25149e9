"""Tensors of which each process holds a part, as `trainer.strategy=fsdp` leaves weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.distributed.tensor._ops._pointwise_ops import _register_single_dim_pointwise

_register_single_dim_pointwise(torch.ops.aten._fused_sgd_.default)  # PyTorch 2.13 knows Adam's


def whole(value: Tensor) -> Tensor:
    """All of a tensor; of one in parts every process asks for it at once."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def own(value: Tensor) -> Tensor:
    """The part of a tensor that this process holds, in the same memory."""
    return value.to_local() if isinstance(value, DTensor) else value


def own_of(values: Iterable[Tensor]) -> list[Tensor]:
    """The parts of some tensors that this process holds, in the same memory."""
    return [own(value) for value in values]


def placed_like(value: Tensor, other: Tensor) -> Tensor:
    """A copy of a tensor on the device of another one, and in parts where that one is."""
    if not isinstance(other, DTensor) or isinstance(value, DTensor):
        return value.to(other.device, copy=True)
    mesh, placements = other.device_mesh, other.placements
    part = distribute_tensor(value.detach(), mesh, placements, src_data_rank=None)
    return part.to(other.device, copy=True)
