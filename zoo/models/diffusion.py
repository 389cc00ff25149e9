"""A diffusion U-Net of residual blocks: every unit of its encoder has a long skip."""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Len, Lt
from torch import Tensor, nn

from zoo.config.sizes import Every, Few, Index, Levels, Width
from zoo.connection import Connect
from zoo.connections.additive import Plain
from zoo.models.layers.level import Level, long_site
from zoo.models.layers.time import Downsample, TimeEmbedding, UniformConv, Upsample, ZeroConv
from zoo.models.layers.time_units import UnitFactory
from zoo.norm import Chain, Placement


class Diffusion(nn.Module):
    r"""The U-Net of DDPM (Ho et al. 2020, arXiv:2006.11239, appendix B) under any two rules.

    The stem, every unit of the encoder and every downsampling has a long skip to a unit of the
    decoder: a long site around all that lies between. `connect` names the rule of the residual
    and attention branches, `long` that of the long sites; with `concat` it is the original.

    Shapes: noisy images `[B, C, H, W]` of any size and timesteps `[B]`, with labels `[B]` or none,
    to predictions `[B, C, H, W]`. Sides are filled up to a multiple of 2^(depth - 1) inside.

    Args:
        channels: C.
        classes: number of classes.
        connect: the rule of every short site.
        long: the rule of every long site.
        norm_placement: where norms sit.
        depth: resolution levels; each one after the first halves the image.
        width: channels of each level; levels beyond the list are as wide as its last entry. A
            number is doubled at every level.
        blocks: residual blocks of a level of the encoder; the decoder has one more.
        attention_at: levels with attention behind every block, from 0; the middle always has it.
        head_width: channels of an attention head; null: one head.
        embedding: how blocks read the time: `additive` (DDPM) or `film` (Dhariwal and Nichol 2021,
            arXiv:2105.05233).
        groups: of every norm, fewer where they do not divide its channels.
        dropout: before the second convolution of a block.
        conditional: whether it reads class labels.
        long_at: levels with long skips, the others have none; null: all.
        checkpoint: recompute the activations of every branch, or every k-th, in the backward pass.

    Errors:
        ValueError: a level beyond the depth; heads that do not divide a width; a first width that
            is odd or below 4.
    """

    def __init__(
        self,
        channels: int,
        classes: int | None,
        connect: Connect,
        long: Connect,
        norm_placement: Placement,
        depth: Levels = 3,
        width: Width | Annotated[list[Width], Len(1, 10)] = 16,
        blocks: Few = 1,
        attention_at: list[Index] = [],  # noqa: B006
        head_width: Width | None = None,
        embedding: Literal["additive", "film"] = "additive",
        groups: Width = 4,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        conditional: bool = False,
        long_at: list[Index] | None = None,
        checkpoint: Every = False,
    ):
        super().__init__()
        self.depth, self.blocks, self.conditional = depth, blocks, conditional
        self.embedding, self.groups, self.head_width = embedding, groups, head_width
        self.placement, self.dropout = norm_placement, dropout
        self.attention_at, self.long, self.long_at = attention_at, long, long_at
        self.widths = level_widths(width, depth)
        for name, levels in (("attention_at", attention_at), ("long_at", long_at or [])):
            if max(levels, default=0) >= depth:
                raise ValueError(f"{name}={levels} names levels beyond {depth - 1}")
        first = self.widths[0]
        if first % 2 or first < 4:
            raise ValueError(f"the first width is {first}; sines and cosines need 4, 6, 8, ...")
        if conditional and not classes:
            raise ValueError("conditional=true needs classes")
        self.time = TimeEmbedding(first, (classes or 0) if conditional else 0)
        writes = sum(1 + (level in attention_at) for level in range(depth))
        units = UnitFactory(
            connect,
            norm_placement,
            (2 * blocks + 1) * writes + 3,
            self.time.width,
            embedding,
            groups,
            head_width,
            dropout,
            checkpoint,
        )
        self.stem = UniformConv(channels, first, 3)
        self.body = self.nest(0, units)
        self.close = norm_placement.close(lambda: units.norm(first), nn.SiLU)
        self.head = ZeroConv(first, channels, 3)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def nest(self, number: int, units: UnitFactory) -> Level:
        """A unit of the encoder, all that lies within its long site, and its unit of the decoder.

        Args:
            number: of the encoder's unit; the first one of each level is the stem or a
                downsampling.
            units: makes the units.
        """
        level, block = divmod(number, self.blocks + 1)  # block 0 is the stem or a downsampling
        width, total = self.widths[level], self.depth * (self.blocks + 1)
        before = self.widths[max(0, level - (block < 2))]
        attends = level in self.attention_at
        enter: nn.Module = Chain()  # the stem has come before
        if block:
            enter = units.unit(before, width, attends)
        elif level:
            enter = Downsample(before)
        last = number + 1 == total
        inner = units.middle(width) if last else self.nest(number + 1, units)
        returned = self.widths[level + (block == self.blocks and not last)]
        rule = self.long if self.long_at is None or level in self.long_at else Plain
        site = long_site(rule, width if block else before, returned, number, total)
        leave: nn.Module = units.unit(returned, width, attends, site.gives - returned)
        if level and not block:
            leave = Chain(OrderedDict(unit=leave, up=Upsample(width)))
        return Level(enter, inner, leave, site)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        height, width = x.shape[2:]
        step = 2 ** (self.depth - 1)
        fill = (0, -width % step, 0, -height % step)
        if any(fill):
            x = F.pad(x, fill, mode="replicate")
        h = self.stem(x.contiguous(memory_format=torch.channels_last))
        h = self.body(h, self.time(t, labels))
        return self.head(self.close(h))[:, :, :height, :width]


def level_widths(width: int | list[int], depth: int) -> list[int]:
    """The channels of each level.

    >>> level_widths(16, 3), level_widths([8, 12], 3)
    ([16, 32, 64], [8, 12, 12])
    """
    if isinstance(width, int):
        return [width * 2**level for level in range(depth)]
    return [width[min(level, len(width) - 1)] for level in range(depth)]
