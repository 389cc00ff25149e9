"""Convolutions, norms and shortcuts of image networks."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.models.dropout import dropout
from zoo.norm import MakeNorm


class Conv(nn.Conv2d):
    """A padded convolution drawn as He et al. 2015, arXiv:1502.01852, eq. 14 (fan out).

    Args:
        width: channels in.
        out: channels out.
        size: of the kernel, odd.
        stride: of the positions that are kept.
        groups: of channels that see each other.
        bias: whether there is one; it starts at zero.
        extra: channels in beside `width` that not every arm has, the last ones; those of `width`
            have the same draws in every arm.
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
    ):
        self.extra = extra
        super().__init__(width + extra, out, size, stride, size // 2, groups=groups, bias=bias)

    def reset_parameters(self) -> None:
        weight = self.weight.detach()
        shared = weight.shape[1] - self.extra
        for part in (weight[:, :shared], weight[:, shared:]) if self.extra else (weight,):
            drawn = torch.empty_like(part, memory_format=torch.contiguous_format)
            part.copy_(nn.init.kaiming_normal_(drawn, mode="fan_out", nonlinearity="relu"))
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class DropConv(Conv):
    """A convolution of size 3 of what dropout leaves of its input.

    Args:
        width: channels in.
        out: channels out.
        bias: whether there is one.
        p: share of the input that is set to zero in training.
    """

    def __init__(self, width: int, out: int, bias: bool, p: float):
        super().__init__(width, out, 3, bias=bias)
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(dropout(input, self.p, self.training))


class UpConv(nn.ConvTranspose2d):
    """The learned up-convolution of size and stride 2: every pixel becomes four.

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
    """Batch norm whose statistics are those of all processes' parts of a batch.

    On GPUs Lightning replaces it by SyncBatchNorm, which knows no CPU; here the sums are reduced
    over the processes with their gradients.
    """

    def forward(self, input: Tensor) -> Tensor:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not (self.training and distributed and torch.distributed.get_world_size() > 1):
            return super().forward(input)
        return self.synchronised(input)

    def synchronised(self, x: Tensor) -> Tensor:
        """Normalises by mean and variance over batch, positions and processes."""
        from torch.distributed.nn.functional import all_reduce

        x32 = x.float()
        axes = (0, 2, 3)
        count = x32.new_full((x.shape[1],), x.numel() / x.shape[1])
        count, total = all_reduce(torch.stack([count, x32.sum(axes)])).unbind()
        if count[0] < 2:
            raise ValueError("batch norm needs more than one value for each channel in training")
        mean = total / count
        centred = x32 - mean[:, None, None]
        variance = all_reduce(centred.square().sum(axes)) / count
        rate = self.momentum or 0.0
        with torch.no_grad():
            unbiased = variance * count / (count - 1)
            self.running_mean.lerp_(mean, rate)  # type: ignore[union-attr]
            self.running_var.lerp_(unbiased, rate)  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def refuse_single_values(model: nn.Module, values: int) -> None:
    """ValueError where a batch norm would see so few values of each channel in training."""
    if values < 2 and any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        raise ValueError("batch norm sees one value of a channel; give more data.batch_size")


def by_batch(model: nn.Module) -> Any:
    """A copy whose batch norms have no memory: also a fresh net is then normed in evaluation."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None
    return model


def group_norm(width: int) -> nn.Module:
    """Groups of 16 channels (Wu and He 2018, arXiv:1803.08494, table 3), fewer if 16 do not fit."""
    return nn.GroupNorm(width // math.gcd(width, 16), width)


def layer_norm(width: int) -> nn.Module:
    """One group: channels and positions of an image together."""
    return nn.GroupNorm(1, width)


NORMS: dict[str, MakeNorm] = {"batch": BatchNorm, "group": group_norm, "layer": layer_norm}


class Subsample(nn.Module):
    """Shortcut option A: positions left out, zeros for the new channels; no parameters.

    Args:
        extra: new channels.
        stride: of the positions that are kept.
    """

    def __init__(self, extra: int, stride: int):
        super().__init__()
        self.extra = extra
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def projection(
    width: int, out: int, stride: int, norm: MakeNorm | None, bias: bool = False
) -> nn.Module:
    """Shortcut options B and C: a convolution of size 1, with a norm where the branch ends in one.

    A net without any norms gives it a bias.
    """
    conv = Conv(width, out, 1, stride, bias=bias)
    return conv if norm is None else nn.Sequential(conv, norm(out))
