"""Stages of image networks: their lengths, and the shortcuts where branches change the shape."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.options import Needs
from zoo.models.layers.conv import Conv
from zoo.norm import FOLLOWING, MakeNorm, Placement

ShortcutKind = Literal["A", "B", "C"]
PROJECTED = ("model.shortcut", ("B", "C"))
NORMED: Needs = {"shortcut_norm": (PROJECTED, FOLLOWING)}  # with which choices it has an effect
IMAGENET = {  # branches in each stage, He et al. 2015, table 1
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
    101: ("bottleneck", [3, 4, 23, 3]),
    152: ("bottleneck", [3, 8, 36, 3]),
}


class Subsample(nn.Module):
    """Shortcut option A: leaves positions out and pads new channels with zeros; no parameters.

    Shapes: `[B, C, H, W]` to `[B, C + extra, H / stride, W / stride]`, rounded up.

    Args:
        extra: new channels; where negative, that many are cut off.
        stride: distance of the positions that remain.
    """

    def __init__(self, extra: int, stride: int):
        super().__init__()
        self.extra = extra
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


class Shortcuts:
    """Makes the shortcuts of one net (He et al. 2015, arXiv:1512.03385, section 4.1).

    A projection is a convolution of size 1 without a bias: the branch beside it has one, or a norm.

    Args:
        kind: where the shape changes, `A` subsamples and pads with zeros, `B` projects; `C`
            projects at every branch.
        placement: a norm follows a projection where norms follow the layers of a branch.
        norm: makes that norm; None: no norm follows.
        pooled: where the branch takes the largest value of each 2 x 2 window, the shortcut takes
            their mean (He et al. 2018, arXiv:1812.01187, figure 2c), before it changes the width.
    """

    def __init__(
        self,
        kind: ShortcutKind,
        placement: Placement,
        norm: MakeNorm | None,
        pooled: bool = False,
    ):
        self.kind, self.pooled = kind, pooled
        self.norm = norm if placement.follows else None

    def projects(self, width: int, out: int, stride: int = 1) -> bool:
        """Whether a branch of this shape has a shortcut with weights."""
        return self.kind == "C" or (self.kind == "B" and (stride > 1 or width != out))

    def shortcut(self, width: int, out: int, stride: int = 1) -> nn.Module | None:
        """The shortcut beside a branch of this shape, or None for the state as it is."""
        if stride > 1 and self.pooled:
            changed = self.shortcut(width, out) or nn.Identity()
            return nn.Sequential(nn.AvgPool2d(stride), changed)
        if self.projects(width, out, stride):
            conv = Conv(width, out, 1, stride)
            return conv if self.norm is None else nn.Sequential(conv, self.norm(out))
        return Subsample(out - width, stride) if stride > 1 or width != out else None


def stage_lengths(depth: int, count: int, form: str, block: str) -> list[int]:
    """The number of branches in each stage."""
    if form == "imagenet":
        kind, lengths = IMAGENET.get(depth, ("", []))
        if not lengths:
            known = ", ".join(map(str, IMAGENET))
            raise ValueError(f"depth={depth} is none of the ImageNet depths: {known}")
        if kind != block:
            raise ValueError(f"depth={depth} has block={kind} in the ImageNet form")
        if count != len(lengths):
            raise ValueError(f"the ImageNet form has 4 widths, got {count}")
        return lengths
    convolutions = 2 if block == "basic" else 3
    step = convolutions * count
    for ends in (2, 4):
        if depth > ends and (depth - ends) % step == 0:
            return [(depth - ends) // step] * count
    near = 2 + step * max(1, round((depth - 2) / step))
    raise ValueError(f"depth={depth} is not {step} n + 2 with {count} stage(s); {near} is near")
