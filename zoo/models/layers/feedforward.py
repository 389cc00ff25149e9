"""The feed-forward layer of a transformer."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.models.layers.dropout import dropout
from zoo.models.layers.normal import NormalLinear

FeedForwardKind = Literal["gelu", "gelu_tanh", "swiglu"]


class FeedForward(nn.Module):
    r"""Two linear maps of every position, with a GELU or a gate between them.

    Equation: W2 gelu(W1 x), or W2 (silu(G x) * W1 x); gelu(x) = x P(N <= x), or its approximation
        x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 2, with the GELU of Hendrycks and Gimpel
        2016, arXiv:1606.08415; Shazeer 2020, arXiv:2002.05202, eq. 6, with 2/3 of the inner
        channels, so that the number of parameters stays the same.

    Args:
        width: C.
        kind: `gelu`, or `gelu_tanh`, its approximation, with 4 C inner channels; `swiglu` with
            8/3 C, rounded up to a multiple of 8, and a gate of as many.
        bias: whether the linear maps have biases.
        dropout: of the output.
    """

    def __init__(self, width: int, kind: FeedForwardKind, bias: bool, dropout: float):
        super().__init__()
        self.gated, self.dropout = kind == "swiglu", dropout
        self.approximate = "tanh" if kind == "gelu_tanh" else "none"
        inner = -(-width // 3) * 8 if self.gated else 4 * width
        self.inner = NormalLinear(width, 2 * inner if self.gated else inner, bias)
        self.inner.maps = 2 if self.gated else 1
        self.out = NormalLinear(inner, width, bias)

    def forward(self, x: Tensor, *_: object) -> Tensor:
        h = self.inner(x)
        if self.gated:
            gate, h = h.chunk(2, -1)
            h = F.silu(gate) * h
        else:
            h = F.gelu(h, approximate=self.approximate)
        return dropout(self.out(h), self.dropout, self.training)
