"""A trained network as diffusers' `UNet2DModel`, where its options have a counterpart there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from zoo.connections.additive import Residual
from zoo.connections.projected import Concat
from zoo.errors import ConfigError
from zoo.models.diffusion import Diffusion
from zoo.models.layers.level import Level
from zoo.models.layers.time import Downsample, FiLM, ImageAttention
from zoo.models.layers.time_units import Unit
from zoo.norm import Chain, Pre
from zoo.stack import Stack

if TYPE_CHECKING:
    from diffusers import UNet2DModel

Pairs = Iterator[tuple[nn.Module, Any]]  # a module of ours and its counterpart


def refuse_other_options(model: Diffusion, height: int, width: int) -> None:
    """Raises ConfigError for the first option of the model without a counterpart in diffusers."""
    stacks = [m for m in model.modules() if isinstance(m, Stack)]
    rules = [type(connection) for stack in stacks for connection in stack.sites]
    longs = [type(m.site) for m in model.modules() if isinstance(m, Level)]
    norms = [m.num_groups for m in model.modules() if isinstance(m, nn.GroupNorm)]
    step = 2 ** (model.depth - 1)
    for option, wrong, fix in (
        ("connection", {*rules} != {Residual}, "only connection=residual can be exported"),
        ("norm", type(model.placement) is not Pre, "only norm=pre can be exported"),
        ("model.conditional", model.conditional, "DDPMPipeline names no classes"),
        ("model.long_at", model.long_at is not None, "only long_at=null can be exported"),
        ("long", {*longs} != {Concat}, "only long=concat can be exported"),
        ("model.groups", {*norms} != {model.groups}, "give groups that divide every width"),
        ("model.depth", height % step or width % step, f"sides must be multiples of {step}"),
    ):
        if wrong:
            raise ConfigError(f"diffusers' UNet2DModel cannot express {option}", "export", fix)


def unet_of(model: Diffusion, shape: Sequence[int]) -> UNet2DModel:
    """The `UNet2DModel` of the same structure with the same weights.

    Args:
        model: ours.
        shape: C, H, W of its images.

    Errors:
        ConfigError: an option has no counterpart.
    """
    from diffusers import UNet2DModel

    channels, height, width = shape
    refuse_other_options(model, height, width)
    attends = [level in model.attention_at for level in range(model.depth)]
    unet: Any = UNet2DModel(
        sample_size=height if height == width else (height, width),
        in_channels=channels,
        out_channels=channels,
        block_out_channels=tuple(model.widths),
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]),
        layers_per_block=model.blocks,
        attention_head_dim=model.head_width,
        norm_num_groups=model.groups,
        attn_norm_num_groups=model.groups,
        norm_eps=1e-6,
        resnet_time_scale_shift="scale_shift" if model.embedding == "film" else "default",
        dropout=model.dropout,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
    )
    with torch.no_grad():
        for ours, theirs in module_pairs(model, unet):
            copy_weights(ours, theirs)
    return unet.eval()


def copy_weights(ours: nn.Module, theirs: Any) -> None:
    """Copies the weights of one of our modules into its counterpart."""
    if not isinstance(ours, ImageAttention):
        theirs.load_state_dict(ours.state_dict())
        return
    targets = (theirs.to_q, theirs.to_k, theirs.to_v)
    weights, biases = ours.qkv.weight.chunk(3), ours.qkv.bias.chunk(3)
    for target, weight, bias in zip(targets, weights, biases, strict=True):
        target.load_state_dict({"weight": weight, "bias": bias})
    theirs.to_out[0].load_state_dict(ours.out.state_dict())


def module_pairs(model: Any, unet: Any) -> Pairs:
    """Gives each of our modules that has weights, with its counterpart."""
    yield model.time.first, unet.time_embedding.linear_1
    yield model.time.second, unet.time_embedding.linear_2
    yield model.stem, unet.conv_in
    yield model.close[0], unet.conv_norm_out
    yield model.head, unet.conv_out
    inner: Any = model.body
    number = 0
    while isinstance(inner, Level):
        level, index = divmod(number, model.blocks + 1)
        down, up = unet.down_blocks[level], unet.up_blocks[model.depth - 1 - level]
        if isinstance(inner.enter, Downsample):
            yield inner.enter, unet.down_blocks[level - 1].downsamplers[0].conv
        elif isinstance(inner.enter, Unit):
            yield from unit_pairs(inner.enter, down, index - 1)
        leave: Any = inner.leave
        if isinstance(leave, Chain):
            yield leave.get_submodule("up"), up.upsamplers[0].conv
            leave = leave.get_submodule("unit")
        yield from unit_pairs(leave, up, model.blocks - index)
        inner, number = inner.inner, number + 1
    yield from block_pairs(inner.branches[0], None, unet.mid_block.resnets[0])
    yield from attention_pairs(inner.branches[1], unet.mid_block.attentions[0])
    yield from block_pairs(inner.branches[2], None, unet.mid_block.resnets[1])


def unit_pairs(unit: Any, group: Any, index: int) -> Pairs:
    """The pairs of one of our units, and a residual block with attention in a group of theirs."""
    yield from block_pairs(unit.branches[0], unit.shortcuts[0], group.resnets[index])
    if len(unit.branches) > 1:
        yield from attention_pairs(unit.branches[1], group.attentions[index])


def block_pairs(branch: Any, shortcut: nn.Module | None, theirs: Any) -> Pairs:
    """The pairs of one of our convolutional branches with its shortcut, and a residual block."""
    yield branch.norm0, theirs.norm1
    film = isinstance(branch.act1, FiLM)
    yield branch.layer0 if film else branch.layer0.core, theirs.conv1
    yield branch.act1.time if film else branch.layer0.time, theirs.time_emb_proj
    yield branch.norm1, theirs.norm2
    yield branch.layer1, theirs.conv2
    if shortcut is not None:
        yield shortcut, theirs.conv_shortcut


def attention_pairs(branch: Any, theirs: Any) -> Pairs:
    """The pairs of one of our branches of attention, and an attention block of theirs."""
    yield branch.before[0], theirs.group_norm
    yield branch.core, theirs
