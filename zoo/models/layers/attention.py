"""Causal attention of transformers."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo import shard
from zoo.models.layers.dropout import dropout
from zoo.models.layers.key_value_cache import KeyValueCache
from zoo.models.layers.normal import NormalLinear
from zoo.models.layers.rotary import rotate

Taps = dict[str, Tensor]  # what branches of one forward pass share; fresh for each


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """The values weighted by causal attention, `[B, H, T, D]`.

    PyTorch's fused attention draws dropout for the rows of one process alone. Where several share a
    batch, and on the CPU, whose fused attention has no dropout, the weights are computed in full.

    Args:
        q: queries `[B, H, T, D]`.
        k: keys `[B, H, S, D]`.
        v: values `[B, H, S, D]`.
        mask: `[T, S]`, true where a query sees a key; None: it sees those up to its position.
        p: share of the attention weights that is set to zero.
    """
    if not p or (q.device.type != "cpu" and shard.current.world == 1):
        return F.scaled_dot_product_attention(q, k, v, mask, p, is_causal=mask is None)
    if mask is None:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
    scores = q @ k.transpose(2, 3) * q.shape[3] ** -0.5
    weights = scores.masked_fill(~mask, -torch.inf).float().softmax(3).to(v.dtype)
    return dropout(weights, p, True) @ v


class CausalAttention(nn.Module):
    r"""Causal self-attention of several heads.

    Equation: out_t = O sum_{s <= t} softmax_s(q_t . k_s / sqrt(D)) v_s; with a value residual
        a v^1 + b v instead of v, where v^1 are the values of the first block
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1; value residual: Zhou et al. 2024,
        arXiv:2410.17897 (ResFormer).

    Shapes: `[B, T, C]` to `[B, T, C]`.

    Args:
        width: C.
        heads: they divide the width.
        bias: whether the linear maps have biases.
        dropout: of the weights of the attention, and of the output.
        block: number of the block, from 0.
        value_residual: `fixed` has a = b = 1/2; `learned` starts with these.
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
        self.qkv = NormalLinear(width, 3 * width, bias)
        self.qkv.maps, self.qkv.queries = 3, 2
        self.out = NormalLinear(width, width, bias)
        learned = value_residual == "learned" and block > 0
        self.share = nn.Parameter(torch.empty(2)) if learned else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.share is not None:
            nn.init.constant_(self.share, 0.5)

    def forward(
        self,
        x: Tensor,
        rotary: Tensor | None = None,
        taps: Taps | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        batch, length, width = x.shape
        projected = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).unbind(2)
        q, k, v = (each.transpose(1, 2) for each in projected)  # [B, H, T, D] each
        if rotary is not None:
            q, k = rotate(q, rotary), rotate(k, rotary)
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
        """The values mixed with those of the first block, which puts them into the taps."""
        if self.block == 0:
            taps["values"] = v
            return v
        if self.share is None:
            return (taps["values"] + v) / 2
        a, b = self.share.to(v.dtype)
        return a * taps["values"] + b * v
