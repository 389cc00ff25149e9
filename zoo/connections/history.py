"""Rules whose state holds every earlier value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.config.sizes import Depth
from zoo.connection import Connection, Site, TensorFunction

History = tuple[tuple[Tensor, ...], Tensor]


class HistoryConnection(Connection):
    """A rule whose state is a tuple of entries and the current value, which branches read."""

    def open(self, x: Tensor) -> History:
        return (x,), x

    def read(self, state: History) -> tuple[Tensor, None]:
        return state[1], None

    def close(self, state: History) -> Tensor:
        return state[1]

    def post(self, fn: TensorFunction, state: History) -> History:
        return state[0], fn(state[1])


class DenseFormer(HistoryConnection):
    r"""Depth-weighted average: after a residual write the stream is a learned sum over the past.

    Equation: h_{l+1} = x_l + F(x_l), x_{l+1} = sum_{j <= l+1} a_j h_j, h_0 = x_0
    State: a tuple of h_0 ... h_l, and the current x_l.
    Start: residual (the last weight is 1, the others are 0).
    Cost: l + 2 parameters at site l; keeps every h.
    Source: Pagliardini et al. 2024, arXiv:2402.02622, eq. 1 (one branch a block).

    Args:
        site: where it sits on the stream.

    >>> DenseFormer(Site(width=2, index=1)).weight.tolist()
    [0.0, 0.0, 1.0]
    """

    init_equals = "residual"
    identity_at_zero = "exact"

    def __init__(self, site: Site):
        super().__init__(site)
        self.weight = nn.Parameter(torch.empty(site.index - site.opened_at + 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.weight[-1:])

    def average(self, *past: Tensor) -> History:
        """The state whose current value is the weighted sum of the entries."""
        stacked = torch.stack(past)
        return past, torch.tensordot(self.weight.to(stacked.dtype), stacked, 1)

    def write(self, state: History, y: Tensor, mix: None) -> History:
        past, x = state
        return self.average(*past, x + y)

    def post(self, fn: TensorFunction, state: History) -> History:
        *past, newest = state[0]
        return self.average(*past, fn(newest))


class AttentionResidual(HistoryConnection):
    r"""Attention residuals: every branch reads a softmax mixture of all that was written before.

    Equation: h_l = sum_{i < l} a_i v_i, a = softmax_i(w_l . rms(v_i)), v_0 = x_0, v_i = F_i(h_i);
        with blocks v_i is the sum of the outputs of one block, the last one so far included
    State: a tuple of v_0 ... v_l, and the current h. Of w_l, site l - 1 holds the query: the first
        branch reads x_0 alone, and the query of the last site closes the stream.
    Start: the mean over the entries (w = 0), where the residual stream is their sum.
    Cost: C parameters a site; keeps one entry for each block of writes.
    Source: Kimi Team 2026, arXiv:2603.15031, section 3 (full and block form). The RMSNorm
        has no gain, which would only be another factor of w.

    Args:
        site: where it sits on the stream.
        block: writes in a block; 1 is the full form.

    >>> rule = AttentionResidual(Site(width=2))
    >>> rule.write(rule.open(torch.zeros(1, 2)), torch.ones(1, 2), None)[1]
    tensor([[0.5000, 0.5000]], grad_fn=<AddBackward0>)
    """

    identity_at_zero = "scaled"
    linear = False

    def __init__(self, site: Site, block: Depth = 1):
        super().__init__(site)
        self.block = block
        self.query = nn.Parameter(torch.empty(site.written))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.query)

    def score(self, entry: Tensor) -> Tensor:
        """w . rms(v) for an entry v, computed without a copy of v for the backward pass."""
        axis = self.site.axis
        dot = (entry.movedim(axis, -1) @ self.query.to(entry.dtype)).unsqueeze(-1).movedim(-1, axis)
        norm = torch.linalg.vector_norm(entry, dim=axis, keepdim=True)
        power = norm.square() / entry.shape[axis]
        return dot * torch.rsqrt(power + torch.finfo(torch.float32).eps)

    def write(self, state: History, y: Tensor, mix: None) -> History:
        entries, _ = state
        within = (self.site.index - self.site.opened_at) % self.block
        entries = (*entries[:-1], entries[-1] + y) if within else (*entries, y)
        shares = torch.stack([self.score(entry) for entry in entries]).softmax(0)
        mixture: Any = sum(a * v for a, v in zip(shares, entries, strict=True))
        return entries, mixture
