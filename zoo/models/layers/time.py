"""Layers of diffusion networks: they receive the embedding of time beside the image."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.models.layers.conv import Conv

PERIOD = 10_000


class TimeEmbedding(nn.Module):
    r"""An embedding of timestep and class: sines and cosines through two layers, plus a vector.

    Shapes: timesteps `[B]` and labels `[B]` to `[B, 4 width]`, after an activation.

    Source: Ho et al. 2020, arXiv:2006.11239, appendix B; Vaswani et al. 2017, arXiv:1706.03762,
        section 3.5; Nichol and Dhariwal 2021, arXiv:2102.09672, for classes.

    Args:
        width: number of sines and cosines together.
        classes: how many there are; one more vector stands for an unknown class. 0: no classes.
    """

    frequencies: Tensor

    def __init__(self, width: int, classes: int = 0):
        super().__init__()
        steps = torch.arange(width // 2) / (width // 2 - 1)
        self.register_buffer("frequencies", torch.exp(-math.log(PERIOD) * steps), persistent=False)
        self.first = nn.Linear(width, 4 * width)
        self.second = nn.Linear(4 * width, 4 * width)
        self.labels = nn.Embedding(classes + 1, 4 * width) if classes else None
        self.none = classes
        self.width = 4 * width

    def forward(self, t: Tensor, labels: Tensor | None = None) -> Tensor:
        angles = t[:, None] * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], 1)
        embedded = self.second(F.silu(self.first(waves)))
        if self.labels is not None:
            named = torch.full_like(t, self.none) if labels is None else labels
            embedded = embedded + self.labels(named)
        return F.silu(embedded)


class AddTimeEmbedding(nn.Module):
    """Adds a linear map of the embedding to the output of a layer: additive conditioning.

    Shapes: images `[B, C, H, W]` and embeddings `[B, E]` to `[B, out, H, W]`.

    Source: Ho et al. 2020, arXiv:2006.11239, appendix B.
    """

    conditioned: ClassVar[bool] = True

    def __init__(self, core: nn.Module, embedding: int, out: int):
        super().__init__()
        self.core = core
        self.time = nn.Linear(embedding, out)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.core(x) + self.time(emb)[:, :, None, None]


class FiLM(nn.Module):
    """An activation of (1 + scale) h + shift; a linear map of the embedding gives both factors.

    Shapes: images `[B, C, H, W]` and embeddings `[B, E]` to `[B, C, H, W]`.

    Source: Perez et al. 2018, arXiv:1709.07871, eq. 2; Dhariwal and Nichol 2021, arXiv:2105.05233,
        section 3.
    """

    conditioned: ClassVar[bool] = True

    def __init__(self, act: nn.Module, embedding: int, width: int):
        super().__init__()
        self.act = act
        self.time = nn.Linear(embedding, 2 * width)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        scale, shift = self.time(emb)[:, :, None, None].chunk(2, 1)
        return self.act(torch.addcmul(shift, x, 1 + scale))


class UniformConv(Conv):
    """A padded convolution with biases, drawn uniformly in +- 1 / sqrt(fan in) as PyTorch does.

    Args:
        width: channels in.
        out: channels out.
        size: of the kernel, odd.
        stride: distance of the positions that are computed.
        extra: further input channels, the last ones, that not every arm has.
        dropout: share of the input that is set to zero in training.
    """

    def __init__(
        self,
        width: int,
        out: int,
        size: int,
        stride: int = 1,
        extra: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__(width, out, size, stride, bias=True, extra=extra, dropout=dropout)

    def reset_parameters(self) -> None:
        shared = self.weight.shape[1] - self.extra
        bound = (shared * self.weight[0, 0].numel()) ** -0.5
        for block in self.weight.detach().split([shared, self.extra], 1):
            block.copy_(torch.empty(block.shape).uniform_(-bound, bound))
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ZeroConv(UniformConv):
    """A convolution that starts as zero: a fresh network predicts zeros (Ho et al. 2020)."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Downsample(UniformConv):
    """Halves an image of even sides by a convolution, padded right and below as in DDPM.

    Shapes: `[B, C, H, W]` to `[B, C, H / 2, W / 2]`.
    """

    def __init__(self, width: int):
        super().__init__(width, width, 3, 2)

    def forward(self, input: Tensor, *_: Any) -> Tensor:
        return F.conv2d(F.pad(input, (0, 1, 0, 1)), self.weight, self.bias, 2)


class Upsample(UniformConv):
    """Doubles the sides of an image: every pixel becomes four alike, then a convolution.

    Shapes: `[B, C, H, W]` to `[B, C, 2 H, 2 W]`.
    """

    def __init__(self, width: int):
        super().__init__(width, width, 3)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.interpolate(input, scale_factor=2.0, mode="nearest"))


class Projections(nn.Linear):
    """Queries, keys and values of every position, one below the other in one weight.

    Args:
        width: C.
    """

    maps, queries = 3, 2  # as of `zoo.models.layers.normal.NormalLinear`

    def __init__(self, width: int):
        super().__init__(width, 3 * width)


class ImageAttention(nn.Module):
    """Attention between all positions of an image.

    Shapes: `[B, C, H, W]` to the same.

    Args:
        width: C.
        heads: they divide C.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = Projections(width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        split = self.qkv(tokens).unflatten(2, (3, self.heads, -1))
        q, k, v = split.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(y).transpose(1, 2).unflatten(2, x.shape[2:])
