"""Units of diffusion networks: residual blocks and attention, each unit with its stream."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import nn

from zoo.config.sizes import Every
from zoo.connection import Connect, Site
from zoo.models.layers.time import AddTimeEmbedding, FiLM, ImageAttention, UniformConv
from zoo.norm import Placement
from zoo.stack import Stack


class Unit(Stack):
    """Branches on one stream, all of one resolution; the embedding goes to each of them."""

    conditioned: ClassVar[bool] = True


@dataclass
class UnitFactory:
    """Makes the units of one net; it is called in the order in which an image passes them.

    Args:
        connect: the rule of every short site.
        placement: where norms sit.
        total: short sites of the whole net.
        time: channels of the embedding.
        embedding: how blocks read it, `additive` or `film`.
        groups: of every norm, fewer where they do not divide its channels.
        head_width: channels of an attention head; None: one head.
        dropout: before the second convolution of a block.
        checkpoint: recompute the activations of every branch, or every k-th, in the backward pass.
    """

    connect: Connect
    placement: Placement
    total: int
    time: int
    embedding: Literal["additive", "film"]
    groups: int
    head_width: int | None
    dropout: float
    checkpoint: Every
    made: int = field(default=0, init=False)

    def unit(self, width: int, out: int, attends: bool, extra: int = 0) -> Unit:
        """A residual block, with attention behind it or not.

        Args:
            width: channels in that every arm has.
            out: channels out.
            attends: whether attention follows.
            extra: channels in that only this arm has.
        """
        branches = [self.block(width, out, extra)]
        return self.stack(branches + [self.attention(out)] * attends, width, out, extra)

    def middle(self, width: int) -> Unit:
        """Two blocks with attention between them."""
        branches = [self.block(width, width), self.attention(width), self.block(width, width)]
        return self.stack(branches, width, width)

    def stack(self, branches: list[nn.Module], width: int, out: int, extra: int = 0) -> Unit:
        """Branches on one stream, which is projected where the first one changes the width."""
        opened_at, total = self.made, self.total
        self.made += len(branches)
        changed = None if width + extra == out else out
        first = Site(width + extra, changed, opened_at, total, -3, opened_at)
        numbers = range(opened_at + 1, self.made)
        others = [Site(out, None, number, total, -3, opened_at) for number in numbers]
        sites = [self.connect(site) for site in (first, *others)]
        shortcuts: list[nn.Module | None] = [None] * len(sites)
        if changed is not None and sites[0].carries:
            shortcuts[0] = UniformConv(width, out, 1, extra=extra)
        posts = [self.after(branch, out) for branch in branches]
        return Unit(branches, sites, shortcuts, posts, self.checkpoint)

    def after(self, branch: nn.Module, width: int) -> nn.Module | None:
        """The function of the stream's value after the write of a branch."""
        if isinstance(getattr(branch, "core", None), ImageAttention):
            return self.placement.post(functools.partial(self.norm, width))
        return self.placement.after_write(nn.SiLU)

    def norm(self, width: int) -> nn.Module:
        """A group norm with the epsilon of DDPM."""
        return nn.GroupNorm(math.gcd(self.groups, width), width, eps=1e-6)

    def block(self, width: int, out: int, extra: int = 0) -> nn.Module:
        """The branch of a residual block: two convolutions with the embedding between them."""
        first: nn.Module = UniformConv(width, out, 3, extra=extra)
        if self.embedding == "additive":
            first = AddTimeEmbedding(first, self.time, out)
        second = UniformConv(out, out, 3, dropout=self.dropout)
        widths = [width + extra, out, out]
        chain = self.placement.chain([first, second], widths, self.norm, nn.SiLU)
        if self.placement.leads:
            chain.norm0.extra = extra  # type: ignore[union-attr]
        if self.embedding == "film":
            chain.act1 = FiLM(nn.SiLU(), self.time, out)
        return chain

    def attention(self, width: int) -> nn.Module:
        """Attention between the positions, with the norms around it.

        Errors:
            ValueError: heads do not divide the width.
        """
        heads, rest = divmod(width, self.head_width or width)
        if rest:
            raise ValueError(f"head_width={self.head_width} does not divide the width {width}")
        norm = functools.partial(self.norm, width)
        return self.placement.branch(ImageAttention(width, heads), norm, nn.Identity)
