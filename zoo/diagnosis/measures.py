"""Numbers that tell what a tensor of a net has become."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from zoo.diagnosis.examination import Norm
from zoo.probes.pieces import moments, pieces, square_sum
from zoo.probes.watch.calls import Call

NEAR = 1e-3  # of an end
ROUNDS = 8  # of power iteration
CONVOLUTION = re.compile(r"conv(?:_transpose)?([123])d")
CHANNEL_NORMS = ("batch_norm", "group_norm", "instance_norm")
PRODUCTS = ("linear", "matmul", "__matmul__", "bmm", "baddbmm", "einsum", "addmm", "mm")


class Channels:
    """The axis of the units of every tensor of a pass.

    It is the one where convolutions and norms of channels put them, as long as functions keep it:
    those by element, and pools. Elsewhere it is the second of four, and the last of all others.
    """

    def __init__(self) -> None:
        self.known = WeakIdKeyDictionary()  # for each tensor its axis, if it is that of channels

    def axis(self, x: Tensor) -> int:
        """The axis of a tensor's units."""
        return int(self.known.get(x, 1 if x.ndim == 4 else max(x.ndim - 1, 0)))

    def note(self, name: str, inputs: Sequence[Tensor], x: Tensor) -> None:
        """Notes where a function put the channels of what it made."""
        convolution = CONVOLUTION.fullmatch(name)
        kept = [t for t in inputs if t in self.known and keeps(name, t, x)]
        if convolution:
            self.known[x] = x.ndim - 1 - int(convolution[1])
        elif name in CHANNEL_NORMS and x.ndim > 1:
            self.known[x] = 1
        elif kept:
            self.known[x] = self.known[kept[0]]


def keeps(name: str, taken: Tensor, made: Tensor) -> bool:
    """Whether a function leaves the axes of what it takes in their order, and in their meaning."""
    if "pool" in name:
        return taken.ndim == made.ndim
    turned = taken is not made and taken.data_ptr() == made.data_ptr()
    return taken.shape == made.shape and not turned and name not in PRODUCTS


def dead_share(x: Tensor, unit: int) -> Tensor:
    """The share of units of which a rectifier makes zero for every example, beyond easy return.

    Equation: max x + std x <= 0 over the examples, so that a unit that lies barely below zero,
        and with the next weights or another dropout above it, is not one of them

    Args:
        x: what the rectifier takes.
        unit: axis of the units.
    """
    axes = [axis for axis in range(x.ndim) if axis != unit]
    return ((x.amax(axes) + x.std(axes, correction=0) if axes else x) <= 0).double().mean()


def flat_share(x: Tensor, ends: tuple[float, float] | None) -> Tensor | None:
    """The share of values that stand at one of two ends."""
    if ends is None or x.ndim < 2:
        return None
    return ((x <= ends[0] + NEAR) | (x >= ends[1] - NEAR)).double().mean()


def unary(x: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether a tensor was computed of one other of its shape, on its device."""
    if len(inputs) != 1 or (inputs[0].shape, inputs[0].device) != (x.shape, x.device):
        return False
    return inputs[0].data_ptr() != x.data_ptr()


def spans(x: Tensor, unit: int) -> Tensor:
    """The spread of the rows of examples, and of the examples `[2]`."""
    over = spread(x, unit)
    return torch.stack([over, spread(x.flatten(1), 1) if x.ndim == 3 else over])


def spread(x: Tensor, unit: int) -> Tensor:
    """The share of a stream's energy outside of its first direction: 0 where all rows are one.

    NaN where there are no two rows, or no two numbers in one, that could differ in direction.

    Equation: 1 - sigma_1^2 / ||X||_F^2, sigma_1 the largest singular value; rows are nodes, the
        tokens of a text (mean over texts), or whole images, whose units are not last. Power
        iteration finds sigma_1, which is exact soon where one direction rules, and a little too
        small where none does.
    """
    rows = x if x.ndim == 3 and unit == 2 else x.reshape(len(x) if x.ndim > 1 else 1, -1)[None]
    if min(rows.shape[1:]) < 2:
        return torch.full((), torch.nan, dtype=torch.double, device=x.device)
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
        eps = getattr(part, "eps", 1e-5)  # as the norm adds it
        scale = running[1].double() + eps
        shift = (mean - running[0].double()).abs() / scale.sqrt()
        stretch = (variance + eps) / scale
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
