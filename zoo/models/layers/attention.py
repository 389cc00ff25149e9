"""Causal attention and feed-forward layers of a transformer, and the cache of their keys."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo import shard
from zoo.models.layers.dropout import dropout

Taps = dict[str, Tensor]  # what branches of one forward pass share; fresh for each
STD = 0.02  # of the draws of all weights, Radford et al. 2019
BASE = 10_000.0  # of the wavelengths of rotary positions


class Linear(nn.Linear):
    """A linear map with GPT-2's draws.

    Attributes:
        maps: that lie one below the other in the weight, each with as many rows.
        queries: how many of them, the first ones, give queries and keys.
    """

    maps = 1
    queries = 0

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=STD)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Embedding(nn.Embedding):
    """A table of vectors with GPT-2's draws."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=STD)


class Cache:
    """Keys and values of the tokens that a model has read, so that it reads each of them once.

    Args:
        blocks: number of attentions.
        shape: batch, heads, context and width of a head.
        like: gives device and dtype.

    Attributes:
        length: tokens read so far.
    """

    def __init__(self, blocks: int, shape: tuple[int, int, int, int], like: Tensor):
        self.pairs = [like.new_empty(2, *shape) for _ in range(blocks)]
        self.length = 0

    def extend(self, block: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keeps `[B, H, T, D]` of new tokens and gives those of all tokens so far."""
        stop = self.length + key.shape[2]
        pair = self.pairs[block]
        pair[:, :, :, self.length : stop] = torch.stack((key, value))
        return pair[0, :, :, :stop], pair[1, :, :, :stop]


def rotation(context: int, width: int) -> Tensor:
    """Cosines and sines `[2, context, width / 2]` of rotary positions.

    Source: Su et al. 2021, arXiv:2104.09864, eq. 15.

    Args:
        context: number of positions.
        width: of a head.
    """
    speeds = BASE ** -(torch.arange(0, width, 2).double() / width)
    angles = torch.arange(context).double()[:, None] * speeds
    return torch.stack((angles.cos(), angles.sin())).float()


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turns channel i of `[..., T, D]` with channel i + D / 2 by the angles of the positions."""
    cos, sin = turns.to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """The values weighted by causal attention, `[B, H, T, D]`.

    PyTorch's fused attention draws its own dropout for the rows of one process. Where several share
    a batch, and on the CPU, whose fused attention has no dropout, the weights are computed in full.

    Args:
        q: queries `[B, H, T, D]`.
        k: keys `[B, H, S, D]`.
        v: values likewise.
        mask: `[T, S]` whether a query sees a key; None: those up to its own place.
        p: share of the weights that is set to zero.
    """
    if not p or (q.device.type != "cpu" and shard.current.world == 1):
        return F.scaled_dot_product_attention(q, k, v, mask, p, is_causal=mask is None)
    if mask is None:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
    scores = q @ k.transpose(2, 3) * q.shape[3] ** -0.5
    weights = scores.masked_fill(~mask, -torch.inf).float().softmax(3).to(v.dtype)
    return dropout(weights, p, True) @ v


class Attention(nn.Module):
    r"""Causal self-attention of several heads.

    Equation: out_t = O sum_{s <= t} softmax_s(q_t . k_s / sqrt(D)) v_s; with a value residual
        a v^1 + b v in place of v, where v^1 are the values of the first block
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1; value residual: Zhou et al. 2024,
        arXiv:2410.17897 (ResFormer).

    Shapes: `[B, T, C]` to `[B, T, C]`.

    Args:
        width: C.
        heads: they divide the width.
        bias: whether the linear maps have biases.
        dropout: of the weights of the attention, and of the output.
        block: number of the block, from 0.
        value_residual: `fixed` has a = b = 1/2; `learned` starts there.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        bias: bool,
        dropout: float,
        block: int,
        value_residual: Literal["none", "fixed", "learned"],
    ):
        super().__init__()
        self.heads, self.dropout, self.block = heads, dropout, block
        self.taps = value_residual != "none"
        self.qkv = Linear(width, 3 * width, bias)
        self.qkv.maps, self.qkv.queries = 3, 2
        self.out = Linear(width, width, bias)
        learned = value_residual == "learned" and block > 0
        self.share = nn.Parameter(torch.empty(2)) if learned else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.share is not None:
            nn.init.constant_(self.share, 0.5)

    def forward(
        self,
        x: Tensor,
        turns: Tensor | None = None,
        taps: Taps | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        batch, length, width = x.shape
        parts = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in parts)  # [B, H, T, D] each
        if turns is not None:
            q, k = rotate(q, turns), rotate(k, turns)
        if self.taps and taps is not None:
            v = self.mixed(v, taps)
        mask = None
        if cache is not None:
            read = cache.length
            k, v = cache.extend(self.block, k, v)
            if read:
                mask = torch.ones(length, read + length, dtype=torch.bool, device=x.device)
                mask = mask.tril(read)
        p = self.dropout if self.training else 0.0
        y = attend(q, k, v, mask, p)
        y = self.out(y.transpose(1, 2).reshape(batch, length, width))
        return dropout(y, self.dropout, self.training)

    def mixed(self, v: Tensor, taps: Taps) -> Tensor:
        """The values with those of the first block, which leaves its own in the taps."""
        if self.block == 0:
            taps["values"] = v
            return v
        if self.share is None:
            return (taps["values"] + v) / 2
        a, b = self.share.to(v.dtype)
        return a * taps["values"] + b * v


Kind = Literal["gelu", "gelu_tanh", "swiglu"]


class FeedForward(nn.Module):
    r"""Two layers at each position, or a gated pair.

    Equation: W2 gelu(W1 x), or W2 (silu(G x) * W1 x); gelu(x) = x P(N <= x), or its approximation
        x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 2, with the GELU of Hendrycks and Gimpel
        2016, arXiv:1606.08415; Shazeer 2020, arXiv:2002.05202, eq. 6, with 2/3 of the inner
        channels, so that the parameters are as many.

    Args:
        width: C.
        kind: `gelu`, or `gelu_tanh`, its approximation, with 4 C inner channels; `swiglu` with
            8/3 C, rounded up to a multiple of 8.
        bias: whether the linear maps have biases.
        dropout: of the output.
    """

    def __init__(self, width: int, kind: Kind, bias: bool, dropout: float):
        super().__init__()
        self.gated, self.dropout = kind == "swiglu", dropout
        self.approximate = "tanh" if kind == "gelu_tanh" else "none"
        inner = -(-width // 3) * 8 if self.gated else 4 * width
        self.inner = Linear(width, 2 * inner if self.gated else inner, bias)
        self.inner.maps = 2 if self.gated else 1
        self.out = Linear(inner, width, bias)

    def forward(self, x: Tensor, *_: object) -> Tensor:
        h = self.inner(x)
        if self.gated:
            gate, h = h.chunk(2, -1)
            h = F.silu(gate) * h
        else:
            h = F.gelu(h, approximate=self.approximate)
        return dropout(self.out(h), self.dropout, self.training)
