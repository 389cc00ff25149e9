"""Rules that keep every earlier value."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.connection import Connection, Site, TensorFunction

History = tuple[tuple[Tensor, ...], Tensor]


class DenseFormer(Connection):
    r"""Depth-weighted average: after a residual write the stream is a learned sum over the past.

    Equation: h_{l+1} = x_l + F(x_l), x_{l+1} = sum_{j <= l+1} a_j h_j, h_0 = x_0
    State: a tuple of h_0 ... h_l, and the current x_l.
    Start: residual (the last weight is 1, the others are 0).
    Cost: l + 2 parameters at site l; keeps every h.
    Source: Pagliardini et al. 2024, arXiv:2402.02622, eq. 1 (one branch a block).

    Args:
        site: place on the stream.

    >>> DenseFormer(Site(width=2, index=1)).weight.tolist()
    [0.0, 0.0, 1.0]
    """

    init_equals = "residual"
    identity_at_zero = "exact"

    def __init__(self, site: Site):
        super().__init__(site)
        self.weight = nn.Parameter(torch.empty(site.index - site.start + 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.weight[-1:])

    def average(self, *past: Tensor) -> History:
        stacked = torch.stack(past)
        return past, torch.tensordot(self.weight.to(stacked.dtype), stacked, 1)

    def open(self, x: Tensor) -> History:
        return (x,), x

    def read(self, state: History) -> tuple[Tensor, None]:
        return state[1], None

    def write(self, state: History, y: Tensor, mix: None) -> History:
        past, x = state
        return self.average(*past, x + y)

    def close(self, state: History) -> Tensor:
        return state[1]

    def post(self, fn: TensorFunction, state: History) -> History:
        *past, newest = state[0]
        return self.average(*past, fn(newest))
