"""Numbers that tell what a tensor of a net has become."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.diagnosis.examination import Norm
from zoo.probes.pieces import moments, pieces, square_sum
from zoo.probes.watch.calls import Call

NEAR = 1e-3  # of an end
ROUNDS = 8  # of power iteration


def dead_share(x: Tensor) -> Tensor:
    """The share of units that are not positive for any example.

    Units are the channels of images, which are second, and the last axis of all else.
    """
    unit = 1 if x.ndim == 4 else x.ndim - 1
    axes = [axis for axis in range(x.ndim) if axis != unit]
    return ((x.amax(axes) if axes else x) <= 0).double().mean()


def flat_share(x: Tensor, ends: tuple[float, float] | None) -> Tensor | None:
    """The share of values that stand at one of two ends."""
    if ends is None or x.ndim < 2:
        return None
    return ((x <= ends[0] + NEAR) | (x >= ends[1] - NEAR)).double().mean()


def unary(x: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether a tensor was computed of one other of its shape."""
    return len(inputs) == 1 and inputs[0].shape == x.shape and inputs[0].data_ptr() != x.data_ptr()


def spans(x: Tensor) -> Tensor:
    """The spread of the rows of examples, and of the examples `[2]`."""
    over = spread(x)
    return torch.stack([over, spread(x.flatten(1)) if x.ndim == 3 else over])


def spread(x: Tensor) -> Tensor:
    """The share of a stream's energy outside of its first direction: 0 where all rows are one.

    Equation: 1 - sigma_1^2 / ||X||_F^2, sigma_1 the largest singular value; rows are nodes, the
        tokens of a text (mean over texts), or whole images. Power iteration finds sigma_1, which
        is exact soon where one direction rules, and a little too small where none does.
    """
    rows = x if x.ndim == 3 else x.flatten(1)[None]
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(rows.shape[-1], dtype=torch.double, generator=generator).to(x.device)
    first = start.expand(len(rows), -1)
    for _ in range(ROUNDS):
        first = torch.nn.functional.normalize(turned(rows, first), dim=-1, eps=1e-300)
    largest = (turned(rows, first) * first).sum(-1)
    energy = torch.stack([square_sum(each) for each in rows])
    return (1 - largest / energy.clamp(min=1e-300)).clamp(min=0).mean()


def turned(rows: Tensor, v: Tensor) -> Tensor:
    """The product `[B, C]` of X^T X with vectors `[B, C]`, of rows `[B, n, C]`."""
    made = torch.zeros_like(v)
    for part in pieces(rows, 1):
        wide = part.double()
        made = made + ((wide @ v[..., None]).mT @ wide)[:, 0]
    return made


def norm_of(call: Call, inputs: Sequence[Tensor], part: nn.Module | None, bias: str) -> Norm:
    """What a batch norm was given."""
    x = inputs[0]
    mean, variance = moments(x)
    running = getattr(part, "running_mean", None), getattr(part, "running_var", None)
    shift = stretch = None
    if running[0] is not None and running[1] is not None:
        scale = running[1].double().clamp(min=1e-12)
        shift, stretch = (mean - running[0].double()).abs() / scale.sqrt(), variance / scale
    seen = getattr(part, "num_batches_tracked", None)
    return Norm(
        module=call.module,
        values=x.numel() // x.shape[1],
        examples=len(x),
        shift=shift,
        stretch=stretch,
        seen=int(seen) if seen is not None else 0,
        training=part.training if part is not None else False,
        bias=bias,
        source=min(call.inputs, default=-1),
    )
