"""U-Nets for segmentation: levels of convolutions, each a long site around the smaller net."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Len, Lt
from torch import Tensor, nn

from zoo.config.options import Needs
from zoo.config.sizes import Every, Few, Index, Levels, Width
from zoo.connection import Connect, Site
from zoo.connections.additive import Plain
from zoo.models.layers.conv import ACTIVATIONS, IMAGE_NORMS, Activation, Conv, UpConv
from zoo.models.layers.level import Level, long_site
from zoo.models.stages import NORMED, ShortcutKind, Shortcuts
from zoo.norm import PLACED, Placement
from zoo.stack import Stack


class UNet(nn.Module):
    r"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) under any two connections.

    A level is h = enter(x), h' = long site around up(net(down(h))), leave(h'), where net is the
    level below and the deepest one has no long site. `enter` and `leave` are stacks of branches of
    two 3x3 convolutions, each stack with its stream; the first branch, which reads the image, is
    the stem and writes to no stream. With long=concat, connection=plain and norm=post
    it is the original with padded convolutions and batch norm. Under `plain` no shortcut is built,
    and a level whose long rule is `plain` has no long skip.

    Images of any size are padded by their border to a multiple of 2^depth; the answer is cut back.

    Shapes: images `[B, C, H, W]` to logits `[B, classes, H, W]`.

    Args:
        channels: C of the images.
        classes: number of classes.
        connect: the rule of every site inside a level.
        long: the rule of the long sites.
        norm_placement: where norms sit.
        depth: levels above the deepest one; each halves the image.
        width: channels of the first level, which double with each one, or those of all the
            depth + 1 levels.
        blocks: branches in each stack.
        long_at: levels that have a long skip, 0 for the first; the others are cut. None: all.
        shortcut: where the channels change, `A` pads with zeros or cuts off, `B` projects; `C`
            projects at every branch.
        shortcut_norm: whether a norm follows a projection where norms follow the convolutions.
        up: `conv`, a learned up-convolution of size 2, or `nearest`, then a 3x3 convolution.
        norm: kind of the norms: `batch`, `group` (of 16 channels) or `layer`.
        activation: `relu`, `elu`, `gelu` or `silu`; the convolutions are drawn with its gain.
        dropout: rate before the second convolution of each branch.
        checkpoint: recompute the activations of every branch, or every k-th, in the backward pass.

    Errors:
        ValueError: widths that do not fit the depth; a level beyond the depth.
    """

    counts_with: ClassVar[Needs] = {"norm": (PLACED,), **NORMED}

    def __init__(
        self,
        channels: int,
        classes: int,
        connect: Connect,
        long: Connect,
        norm_placement: Placement,
        depth: Levels = 4,
        width: Width | Annotated[list[Width], Len(2, 11)] = 8,
        blocks: Few = 1,
        long_at: list[Index] | None = None,
        shortcut: ShortcutKind = "B",
        shortcut_norm: bool = True,
        up: Literal["conv", "nearest"] = "conv",
        norm: Literal["batch", "group", "layer"] = "batch",
        activation: Activation = "relu",
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        checkpoint: Every = False,
    ):
        super().__init__()
        widths = [width << i for i in range(depth + 1)] if isinstance(width, int) else width
        if len(widths) != depth + 1:
            raise ValueError(f"width={width} needs {depth + 1} numbers at depth={depth}")
        lost = [level for level in long_at or [] if level >= depth]
        if lost:
            raise ValueError(f"long_at={long_at}: levels go from 0 to {depth - 1}")
        self.depth, self.blocks, self.widths = depth, blocks, widths
        self.connect, self.long = connect, long
        self.long_at = range(depth) if long_at is None else long_at
        self.placement, self.make_norm = norm_placement, IMAGE_NORMS[norm]
        self.activation, self.gain = ACTIVATIONS[activation]
        self.shortcuts = Shortcuts(
            shortcut, norm_placement, self.make_norm if shortcut_norm else None
        )
        self.up, self.dropout, self.checkpoint = up, dropout, checkpoint
        first = widths[0]
        self.stem = self.entry(channels, first)
        self.body = self.level(0, first, itertools.count())
        self.close = norm_placement.close(lambda: self.make_norm(first), self.activation)
        self.head = Conv(first, classes, 1, bias=True)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def total(self) -> int:
        """Number of branches that write to a stream."""
        return self.blocks * (2 * self.depth + 1) - 1

    def entry(self, channels: int, width: int) -> nn.Module:
        """The stem: a branch that begins with a convolution, without norm and activation before."""
        bias = not self.placement.normed
        layers: list[nn.Module] = [Conv(channels, width, 3, bias=bias, gain=self.gain)]
        if self.placement.follows:
            layers.append(self.make_norm(width))
        if not self.placement.leads:
            layers.append(self.activation())
        layers.append(
            self.placement.chain([self.second(width)], [width] * 2, self.make_norm, self.activation)
        )
        last = self.placement.after_write(self.activation)
        return nn.Sequential(*layers, *([last] if last else []))

    def second(self, width: int) -> nn.Module:
        """The second convolution of a branch."""
        bias = not self.placement.normed
        return Conv(width, width, 3, bias=bias, gain=self.gain, dropout=self.dropout)

    def level(self, number: int, ins: int, index: Iterator[int]) -> nn.Module:
        """A level with all levels below it.

        Args:
            number: of the level, from 0.
            ins: channels that it reads.
            index: counts the short sites in the order in which an image passes them.
        """
        width = self.widths[number]
        enter = self.stack(ins, width, 0, self.blocks - (number == 0), index)
        if number == self.depth:
            return enter
        below = self.widths[number + 1]
        inner: dict[str, nn.Module] = {"down": nn.MaxPool2d(2)}
        inner["net"] = self.level(number + 1, width, index)
        inner["up"] = (
            UpConv(below, width)
            if self.up == "conv"
            else nn.Sequential(nn.Upsample(scale_factor=2), Conv(below, width, 3, bias=True))
        )
        rule = self.long if number in self.long_at else Plain
        site = long_site(rule, width, width, number, self.depth)
        leave = self.stack(width, width, site.gives - width, self.blocks, index)
        return Level(enter, nn.Sequential(OrderedDict(inner)), leave, site)

    def stack(self, ins: int, out: int, extra: int, length: int, index: Iterator[int]) -> Stack:
        """A stack of branches of one level.

        Args:
            ins: channels in that every arm has.
            out: channels out.
            extra: channels in that only this arm has.
            length: number of branches.
            index: counts the short sites.
        """
        branches: list[nn.Module] = []
        sites: list[Site] = []
        shortcuts: list[nn.Module | None] = []
        for unit in range(length):
            width = out if unit else ins + extra
            changed = None if width == out else out
            number = next(index)
            opens = not sites or self.shortcuts.projects(width, out)
            opened_at = number if opens else sites[-1].opened_at
            branches.append(self.branch(width, out, 0 if unit else extra))
            sites.append(Site(width, changed, number, self.total, -3, opened_at))
            shortcuts.append(self.shortcuts.shortcut(width, out))
        rules = [self.connect(site) for site in sites]
        pairs = zip(shortcuts, rules, strict=True)
        carried = [shortcut if rule.carries else None for shortcut, rule in pairs]
        posts = [self.placement.after_write(self.activation) for _ in sites]
        return Stack(branches, rules, carried, posts, self.checkpoint)

    def branch(self, width: int, out: int, extra: int) -> nn.Module:
        """A branch of two convolutions.

        Args:
            width: channels in.
            out: channels out.
            extra: how many of `width`, the last ones, only this arm has.
        """

        def norm(count: int) -> nn.Module:
            made = self.make_norm(count)
            if extra and count == width:
                made.extra = extra  # type: ignore[assignment]
            return made

        bias = not self.placement.normed
        first = Conv(width - extra, out, 3, bias=bias, extra=extra, gain=self.gain)
        return self.placement.chain(
            [first, self.second(out)], [width, out, out], norm, self.activation
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        height, width = x.shape[2:]
        more, wider = (-n % 2**self.depth for n in (height, width))
        top, left = more // 2, wider // 2
        if more or wider:
            x = F.pad(x, (left, wider - left, top, more - top), mode="replicate")
        y = self.head(self.close(self.body(self.stem(x))))
        return y[:, :, top : top + height, left : left + width]
