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
        site: where it sits on the stream.
        bias: initial value of b; the more negative, the more of the stream is carried.

    >>> Highway(Site(width=2)).gate.bias.tolist()
    [-2.0, -2.0]
    """

    linear = False

    def __init__(self, site: Site, bias: float = -2.0):
        super().__init__(site)
        self.init_bias = bias
        self.gate = Pointwise(site.width, site.written, site.axis)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.gate.bias, self.init_bias)

    def read(self, state: Tensor) -> tuple[Tensor, Tensor]:
        return state, self.pooled(torch.sigmoid(self.gate(state)))

    def write(self, state: Tensor, y: Tensor, mix: Tensor) -> Tensor:
        return mix * y + (1 - mix) * state


class GRUGate(Connection):
    r"""The stream is the hidden state of a gated recurrent unit whose input is the branch.

    Equation: x' = (1 - z) x + z h, z = sigmoid(W_z y + U_z x - b), r = sigmoid(W_r y + U_r x),
        h = tanh(W_h y + U_h (r x)), y = F(x), b = 2 at the start
    State: one tensor.
    Start: near the identity (z is about 0.12 where the maps are small).
    Cost: 6 C^2 + C parameters a site.
    Source: Parisotto et al. 2019, arXiv:1910.06764, section 3.2 (GRU-type gating).

    Args:
        site: where it sits on the stream.
        bias: initial value of b; the larger, the more of the stream is carried.

    >>> GRUGate(Site(width=2)).bias.tolist()
    [2.0, 2.0]
    """

    linear = False

    def __init__(self, site: Site, bias: float = 2.0):
        super().__init__(site)
        self.init_bias, width = bias, site.written
        self.inputs = Pointwise(width, 3 * width, site.axis, bias=False)
        self.gates = Pointwise(width, 2 * width, site.axis, bias=False)
        self.candidate = Pointwise(width, width, site.axis, bias=False)
        self.bias = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.bias, self.init_bias)

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        axis = self.site.axis
        reset, update, new = self.inputs(y).chunk(3, axis)
        from_reset, from_update = self.gates(state).chunk(2, axis)
        r = torch.sigmoid(reset + from_reset)
        z = torch.sigmoid(update + from_update - self.along(self.bias))
        h = torch.tanh(new + self.candidate(r * state))
        return (1 - z) * state + z * h
