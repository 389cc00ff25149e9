"""Rules that gate stream and branch against each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.connection import Connection, Pointwise, Site


class Highway(Connection):
    r"""A learned gate chooses between carrying the stream and taking the branch.

    Equation: x' = t F(x) + (1 - t) x, t = sigmoid(W x + b), b = -2 at the start
    State: one tensor.
    Start: near the identity (t is about 0.12 where W x is small).
    Cost: C^2 + C parameters a site.
    Source: Srivastava et al. 2015, arXiv:1505.00387, eq. 3.

    Args:
        site: place on the stream.
        bias: start of b; more negative carries more.

    >>> Highway(Site(width=2)).gate.bias.tolist()
    [-2.0, -2.0]
    """

    linear = False

    def __init__(self, site: Site, bias: float = -2.0):
        super().__init__(site)
        self.start = bias
        self.gate = Pointwise(site.width, site.written, site.axis)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.gate.bias, self.start)

    def read(self, state: Tensor) -> tuple[Tensor, Tensor]:
        return state, self.pooled(torch.sigmoid(self.gate(state)))

    def write(self, state: Tensor, y: Tensor, mix: Tensor) -> Tensor:
        return mix * y + (1 - mix) * state
