"""Convolutions, norms and activations of image networks."""

from __future__ import annotations

import copy
import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.errors import ConfigError
from zoo.models.layers.dropout import dropout
from zoo.norm import MakeModule, MakeNorm
from zoo.shard import sum_over_processes


class Conv(nn.Conv2d):
    """A padded convolution drawn as He et al. 2015, arXiv:1502.01852, eq. 14 (fan out).

    Their gain of sqrt(2) is ReLU's; that of another activation f is 1 / sqrt(E f(z)^2) for a
    standard normal z: the mean square stays the same from layer to layer. Draws for different
    activations differ by this factor alone.

    Shapes: `[B, width + extra, H, W]` to `[B, out, H / stride, W / stride]`, rounded up.

    Args:
        width: channels in.
        out: channels out.
        size: of the kernel, odd.
        stride: distance of the positions that are computed.
        groups: of channels that see each other.
        bias: whether it has biases; they start at zero.
        extra: further input channels, the last ones, that not every arm has; weights of the first
            `width` channels have the same draws in every arm.
        gain: of the activation beside it.
        dropout: share of the input that is set to zero in training.
    """

    def __init__(
        self,
        width: int,
        out: int,
        size: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        extra: int = 0,
        gain: float = 2**0.5,
        dropout: float = 0.0,
    ):
        self.extra, self.gain, self.dropout = extra, gain, dropout
        super().__init__(width + extra, out, size, stride, size // 2, groups=groups, bias=bias)

    def reset_parameters(self) -> None:
        weight = self.weight.detach()
        shared = weight.shape[1] - self.extra
        for block in (weight[:, :shared], weight[:, shared:]) if self.extra else (weight,):
            drawn = torch.empty_like(block, memory_format=torch.contiguous_format)
            nn.init.kaiming_normal_(drawn, mode="fan_out", nonlinearity="relu")
            block.copy_(drawn * (self.gain / 2**0.5))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(dropout(input, self.dropout, self.training))


class PooledConv(Conv):
    """A convolution, and then the largest value of each 2 x 2 window; a last odd row is left out.

    Shapes: `[B, width, H, W]` to `[B, out, H / 2, W / 2]`, rounded down.
    """

    def forward(self, input: Tensor) -> Tensor:
        if min(input.shape[2:]) < 2:
            what = f"images of {input.shape[2]} x {input.shape[3]} pixels cannot be halved"
            raise ConfigError(what, "model.pool", "give larger images or fewer stages")
        return F.max_pool2d(super().forward(input), 2)


class UpConv(nn.ConvTranspose2d):
    """The learned up-convolution of size and stride 2: every pixel becomes four.

    Shapes: `[B, width, H, W]` to `[B, out, 2 H, 2 W]`.

    Args:
        width: channels in.
        out: channels out.
    """

    def __init__(self, width: int, out: int):
        super().__init__(width, out, 2, 2)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.in_channels**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm over the whole batch, also where several processes share it.

    On GPUs Lightning replaces it by SyncBatchNorm, which knows no CPU; here the sums are reduced
    over the processes with their gradients.
    """

    def forward(self, input: Tensor) -> Tensor:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not (self.training and distributed and torch.distributed.get_world_size() > 1):
            return super().forward(input)
        return self.synchronised(input)

    def synchronised(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` normalised by mean and variance over batch, positions and processes."""
        x32 = x.float()
        axes = (0, 2, 3)
        count = x32.new_full((x.shape[1],), x.numel() / x.shape[1])
        count, total = sum_over_processes(torch.stack([count, x32.sum(axes)])).unbind()
        if count[0] < 2:
            raise ValueError("batch norm needs more than one value for each channel in training")
        mean = total / count
        centred = x32 - mean[:, None, None]
        variance = sum_over_processes(centred.square().sum(axes)) / count
        rate = self.momentum or 0.0
        with torch.no_grad():
            unbiased = variance * count / (count - 1)
            self.running_mean.lerp_(mean, rate)  # type: ignore[union-attr]
            self.running_var.lerp_(unbiased, rate)  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class BatchShift(BatchNorm):
    """Batch norm without a gain of its own, whose running statistics follow within a few batches.

    The newest batch has a share of 0.4 in them (PyTorch's default is 0.1). The gain is a frozen 1,
    as in Page 2018 and Jordan 2024, arXiv:2404.00498.
    """

    def __init__(self, width: int):
        super().__init__(width, momentum=0.4)
        self.weight.requires_grad_(False)


def refuse_single_values(model: nn.Module, values: int) -> None:
    """ValueError where a batch norm would see a single value of each channel in training.

    Args:
        model: the net.
        values: how many values of a channel its norms see at least.
    """
    if values < 2 and any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        raise ValueError("batch norm sees one value of a channel; give more data.batch_size")


def by_batch(model: nn.Module) -> Any:
    """A copy whose batch norms use the batch in evaluation too: a fresh net has no averages yet."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, _BatchNorm):  # also those that Lightning has put in their place
            module.running_mean = module.running_var = None
    return model


def group_norm(width: int) -> nn.Module:
    """A norm of groups of 16 channels, or fewer where 16 do not divide them.

    Source: Wu and He 2018, arXiv:1803.08494, table 3.
    """
    return nn.GroupNorm(width // math.gcd(width, 16), width)


def image_layer_norm(width: int) -> nn.Module:
    """A norm over channels and positions of an image together, as a group norm of one group."""
    return nn.GroupNorm(1, width)


IMAGE_NORMS: dict[str, MakeNorm] = {
    "batch": BatchNorm,
    "batch_shift": BatchShift,
    "group": group_norm,
    "layer": image_layer_norm,
}

Activation = Literal["relu", "elu", "gelu", "silu"]
ACTIVATIONS: dict[str, tuple[MakeModule, float]] = {  # with the gains of what is drawn for them
    "relu": (nn.ReLU, 2**0.5),
    "elu": (nn.ELU, 1.2451983),
    "gelu": (nn.GELU, 1.5335304),
    "silu": (nn.SiLU, 1.6765325),
}
