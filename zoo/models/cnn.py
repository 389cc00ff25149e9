"""Residual networks for images: basic and bottleneck branches on one stream in stages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Len
from torch import Tensor, nn

from zoo.config.options import Needs
from zoo.config.sizes import Depth, Every, Few, Width
from zoo.connection import Connect, Site
from zoo.models.layers.conv import ACTIVATIONS, IMAGE_NORMS, Activation, Conv, PooledConv
from zoo.models.layers.whitened import WhitenedConv
from zoo.models.stages import NORMED, ShortcutKind, Shortcuts, stage_lengths
from zoo.norm import PLACED, Placement
from zoo.stack import Stack

EXPANSION = 4  # of a bottleneck: channels of the stream for each channel of its middle


class CNN(nn.Module):
    r"""A ResNet (He et al. 2015, arXiv:1512.03385) under any connection.

    norm=post is the original with its activation after each write, norm=pre the pre-activation net
    (He et al. 2016, arXiv:1603.05027), norm=none has no norms. All shortcuts read the stream
    itself; in the authors' code of pre-activation nets, and in that of WRN, projections read it
    after the first norm and activation of the branch. Under `plain` the branches are
    the same and no shortcut is built.

    Shapes: images `[B, C, H, W]` to logits `[B, classes]`.

    Args:
        channels: C of the images.
        classes: number of classes.
        connect: the rule of every site.
        norm_placement: where norms sit.
        depth: layers with weights, without shortcuts: with s stages 2 s n + 2 of basic branches
            or 3 s n + 2 of bottlenecks; two more where two projections are counted (WRN-28-10).
            For form=imagenet 18, 34, 50, 101 or 152.
        width: channels of each stage, as a list, or a number for a single stage; each stage after
            the first halves the image.
        form: `cifar` (3x3 stem, equal stages) or `imagenet` (7x7 stem with pooling).
        stem: `conv`, the one of the form, or `whitened`: frozen filters that whiten 2x2 patches of
            the training images, without a norm.
        pool: whether every stage, the first too, begins with 2x2 max pooling behind the first
            convolution that sees positions, instead of a stride of 2 in all stages but the first.
        block: `basic` (two 3x3 convolutions) or `bottleneck` (1x1, 3x3, 1x1, four times as wide).
            form=imagenet asks for the one of its depth.
        factor: of all widths behind the stem (Zagoruyko and Komodakis 2016, arXiv:1605.07146).
        groups: of the 3x3 convolution in a bottleneck (Xie et al. 2017, arXiv:1611.05431).
        base_width: channels of each group at a width of 64.
        shortcut: where the shape changes, `A` subsamples and pads with zeros, `B` projects; `C`
            projects at every branch.
        shortcut_norm: whether a norm follows a projection where norms follow the convolutions.
        norm: kind of the norms: `batch`, `batch_shift` (without a gain, with fast running
            statistics), `group` (of 16 channels) or `layer`.
        activation: `relu`, `elu`, `gelu` or `silu`; the convolutions are drawn with its gain.
        checkpoint: recompute the activations of every branch, or every k-th, in the backward pass.
        readout: of the last stream over positions that the head reads: `mean` or `max`.
        logit_scale: factor of the head's output.

    Errors:
        ValueError: a depth that the stages do not divide; groups of basic branches; a whitened
            stem of form=imagenet.
    """

    counts_with: ClassVar[Needs] = {"norm": (PLACED,), **NORMED}

    def __init__(
        self,
        channels: int,
        classes: int,
        connect: Connect,
        norm_placement: Placement,
        depth: Depth = 20,
        width: Width | Annotated[list[Width], Len(1, 64)] = [16],  # noqa: B006
        form: Literal["cifar", "imagenet"] = "cifar",
        stem: Literal["conv", "whitened"] = "conv",
        pool: bool = False,
        block: Literal["basic", "bottleneck"] = "basic",
        factor: Few = 1,
        groups: Few = 1,
        base_width: Width = 64,
        shortcut: ShortcutKind = "A",
        shortcut_norm: bool = True,
        norm: Literal["batch", "batch_shift", "group", "layer"] = "batch",
        activation: Activation = "relu",
        checkpoint: Every = False,
        readout: Literal["mean", "max"] = "mean",
        logit_scale: Annotated[float, Gt(0)] = 1.0,
    ):
        super().__init__()
        if block == "basic" and (groups > 1 or base_width != 64):
            raise ValueError("groups and base_width are options of block=bottleneck")
        if stem == "whitened" and form == "imagenet":
            raise ValueError("stem=whitened is an option of form=cifar")
        self.block, self.groups, self.base_width, self.pool = block, groups, base_width, pool
        self.readout, self.logit_scale = readout, logit_scale
        self.placement, self.make_norm = norm_placement, IMAGE_NORMS[norm]
        self.activation, self.gain = ACTIVATIONS[activation]
        widths = [width] if isinstance(width, int) else width
        lengths = stage_lengths(depth, len(widths), form, block)
        out = 8 * channels if stem == "whitened" else widths[0]
        self.stem = self.entry(channels, out, form, stem)
        wide = EXPANSION if block == "bottleneck" else 1
        shortcut_normed = self.make_norm if shortcut_norm else None
        make = Shortcuts(shortcut, norm_placement, shortcut_normed, pool)
        branches: list[nn.Module] = []
        sites: list[Site] = []
        shortcuts: list[nn.Module | None] = []
        for stage, length in enumerate(lengths):
            inner = widths[stage] * factor
            for unit in range(length):
                ins, out = out, inner * wide
                stride = 2 if (stage or pool) and not unit else 1
                changes = stride > 1 or ins != out
                index = len(sites)
                opens = not sites or make.projects(ins, out, stride)
                opened_at = index if opens else sites[-1].opened_at
                branches.append(self.branch(ins, inner, out, stride))
                changed = out if changes else None
                sites.append(Site(ins, changed, index, sum(lengths), -3, opened_at))
                shortcuts.append(make.shortcut(ins, out, stride))
        rules = [connect(site) for site in sites]
        self.body = Stack(
            branches,
            rules,
            [made if rule.carries else None for made, rule in zip(shortcuts, rules, strict=True)],
            [norm_placement.after_write(self.activation) for _ in sites],
            checkpoint,
        )
        self.close = norm_placement.close(lambda: self.make_norm(out), self.activation)
        self.head = nn.Linear(out, classes)

    def entry(self, channels: int, width: int, form: str, stem: str) -> nn.Module:
        """The stem, without norm and activation if the first branch begins with them."""
        size, stride = (7, 2) if form == "imagenet" else (3, 1)
        layers: list[nn.Module] = [WhitenedConv(channels)]
        if stem == "conv":
            layers = [Conv(channels, width, size, stride, gain=self.gain)]
        if stem == "conv" and self.placement.follows:
            layers.append(self.make_norm(width))
        if not self.placement.leads:
            layers.append(self.activation())
        if form == "imagenet":
            layers.append(nn.MaxPool2d(3, 2, 1))
        return nn.Sequential(*layers)

    def branch(self, width: int, inner: int, out: int, stride: int) -> nn.Module:
        """A branch: its convolutions with their norms and activations."""
        conv = functools.partial(Conv, bias=not self.placement.normed, gain=self.gain)
        halving: Callable[..., Conv] = functools.partial(conv, stride=stride)
        if self.pool and stride > 1:
            halving = functools.partial(PooledConv, **conv.keywords)
        if self.block == "basic":
            widths = [width, out, out]
            layers = [halving(width, out, 3), conv(out, out, 3)]
        else:
            middle = inner * self.base_width // 64 * self.groups
            if not middle:
                raise ValueError(f"base_width={self.base_width} leaves no channel at width={inner}")
            widths = [width, middle, middle, out]
            layers = [
                conv(width, middle, 1),
                halving(middle, middle, 3, groups=self.groups),
                conv(middle, out, 1),
            ]
        return self.placement.chain(layers, widths, self.make_norm, self.activation)

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)  # up to 30 % faster than channels first
        x = self.close(self.body(self.stem(x)))
        x = self.head(x.amax((2, 3)) if self.readout == "max" else x.mean((2, 3)))
        return x if self.logit_scale == 1 else x * self.logit_scale
