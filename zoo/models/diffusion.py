"""A diffusion U-Net of residual blocks: every unit of its encoder has a long skip."""

from __future__ import annotations

import functools
import itertools
import math
from collections import OrderedDict
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Len, Lt
from torch import Tensor, nn

from zoo.connection import Connect, Site, Stack
from zoo.connections.additive import Plain
from zoo.models.conv_layers import Conv
from zoo.models.level import Level, long_site
from zoo.models.timed import (
    Attention,
    Downsample,
    DroppedConv,
    FiLM,
    Shifted,
    TimeEmbedding,
    Upsample,
)
from zoo.norm import Chain, Placement

Size = Annotated[int, Ge(1)]
Index = Annotated[int, Ge(0)]


class Unit(Stack):
    """Residual blocks and attention on one stream, all of one resolution."""

    conditioned: ClassVar[bool] = True


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
        conditional: whether it knows classes.
        long_at: levels with long skips, the others have none; null: all.
        checkpoint: recompute activations in the backward pass.

    Errors:
        ValueError: a level that is not there; heads that do not divide a width; a first width that
            is odd or below 4.
    """

    def __init__(
        self,
        channels: int,
        classes: int | None,
        connect: Connect,
        long: Connect,
        norm_placement: Placement,
        depth: Size = 3,
        width: Size | Annotated[list[Size], Len(1)] = [32, 48, 64],  # noqa: B006
        blocks: Size = 2,
        attention_at: list[Index] = [],  # noqa: B006
        head_width: Size | None = None,
        embedding: Literal["additive", "film"] = "additive",
        groups: Size = 4,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        conditional: bool = False,
        long_at: list[Index] | None = None,
        checkpoint: bool = False,
    ):
        super().__init__()
        self.depth, self.blocks, self.head_width = depth, blocks, head_width
        self.embedding, self.groups, self.dropout = embedding, groups, dropout
        self.attention_at, self.long_at = attention_at, long_at
        self.widths = level_widths(width, depth)
        for name, levels in (("attention_at", attention_at), ("long_at", long_at or [])):
            if max(levels, default=0) >= depth:
                raise ValueError(f"{name}={levels} names levels beyond {depth - 1}")
        first = self.widths[0]
        if first % 2 or first < 4:
            raise ValueError(f"the first width is {first}; sines and cosines need 4, 6, 8, ...")
        self.connect, self.long, self.placement = connect, long, norm_placement
        self.checkpoint = checkpoint
        self.indices = itertools.count()
        blocks_in_all = sum(1 + (level in attention_at) for level in range(depth))
        self.writes = (2 * blocks + 1) * blocks_in_all + 3
        if conditional and not classes:
            raise ValueError("conditional=true needs classes")
        self.time = TimeEmbedding(first, (classes or 0) if conditional else 0)
        self.stem = Conv(channels, first, 3, bias=True)
        self.body = self.nest(0)
        self.close = norm_placement.close(lambda: self.norm(first), nn.SiLU)
        self.head = Conv(first, channels, 3, bias=True)

    def nest(self, number: int) -> Level:
        """A unit of the encoder, all that lies within its long site, and its unit of the decoder.

        Args:
            number: of the unit: each level begins with the stem or a downsampling.
        """
        level, place = divmod(number, self.blocks + 1)
        width, total = self.widths[level], self.depth * (self.blocks + 1)
        before = self.widths[max(0, level - (place < 2))]
        skip = before if place == 0 else width
        enter: nn.Module = Chain()
        if place:
            enter = self.unit(before, width, level)
        elif level:
            enter = Downsample(before)
        last = number + 1 == total
        inner: nn.Module = self.middle() if last else self.nest(number + 1)
        given = self.widths[level + (place == self.blocks and not last)]
        rule = self.long if self.long_at is None or level in self.long_at else Plain
        site = long_site(rule, skip, given, number, total)
        leave = self.unit(given, width, level, site.gives - given)
        if level and not place:
            leave = Chain(OrderedDict(unit=leave, up=Upsample(width)))
        return Level(enter, inner, leave, site)

    def unit(self, width: int, out: int, level: int, extra: int = 0) -> Unit:
        """A residual block, with attention where the level has it.

        Args:
            width: channels in that every arm has.
            out: channels out.
            level: resolution.
            extra: channels in that only this arm has.
        """
        branches = [self.block(width, out, extra)]
        if level in self.attention_at:
            branches.append(self.attention(out))
        return self.stack(branches, width, out, extra)

    def middle(self) -> Unit:
        """Two blocks with attention between them."""
        width = self.widths[-1]
        branches = [self.block(width, width), self.attention(width), self.block(width, width)]
        return self.stack(branches, width, width)

    def stack(self, branches: list[nn.Module], width: int, out: int, extra: int = 0) -> Unit:
        """Branches on one stream; where the first changes its width, it is projected."""
        indices = list(itertools.islice(self.indices, len(branches)))
        wide = width + extra
        changed = None if wide == out else out
        sites = [self.connect(Site(wide, changed, indices[0], self.writes, -3, indices[0]))]
        sites += [
            self.connect(Site(out, None, i, self.writes, -3, indices[0])) for i in indices[1:]
        ]
        projects = changed is not None and sites[0].carries
        first = Conv(width, out, 1, bias=True, extra=extra) if projects else None
        posts = [
            self.placement.post(functools.partial(self.norm, out))
            if isinstance(getattr(branch, "core", None), Attention)
            else self.placement.settle(nn.SiLU)
            for branch in branches
        ]
        rest = [None] * (len(branches) - 1)
        return Unit(branches, sites, [first, *rest], posts, self.checkpoint)

    def norm(self, width: int) -> nn.Module:
        return nn.GroupNorm(math.gcd(self.groups, width), width, eps=1e-6)

    def block(self, width: int, out: int, extra: int = 0) -> nn.Module:
        """Two convolutions; the embedding of time comes in between."""
        first: nn.Module = Conv(width, out, 3, bias=True, extra=extra)
        if self.embedding == "additive":
            first = Shifted(first, self.time.width, out)
        second = DroppedConv(out, out, 3, self.dropout)
        widths = [width + extra, out, out]
        chain = self.placement.chain([first, second], widths, self.norm, nn.SiLU)
        if self.placement.leads:
            chain.norm0.extra = extra  # type: ignore[assignment, union-attr]
        if self.embedding == "film":
            chain.act1 = FiLM(nn.SiLU(), self.time.width, out)
        return chain

    def attention(self, width: int) -> nn.Module:
        """Attention between the positions, with the norms around it."""
        heads, rest = divmod(width, self.head_width or width)
        if rest:
            raise ValueError(f"head_width={self.head_width} does not divide the width {width}")
        norm = functools.partial(self.norm, width)
        return self.placement.branch(Attention(width, heads), norm, nn.Identity)

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
