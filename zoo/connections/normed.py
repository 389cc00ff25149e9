"""Rules whose equation norms the stream, by norms without parameters."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Gt
from torch import Tensor, nn

from zoo.connection import Connection, Site, TensorFunction

NormedAndSum = tuple[Tensor, Tensor]


def layer_norm(x: Tensor, axis: int) -> Tensor:
    """x with mean 0 and variance 1 over the channels of every position."""
    x = x.movedim(axis, -1)
    return F.layer_norm(x, x.shape[-1:]).movedim(-1, axis)


class NGPT(Connection):
    r"""The stream moves on the unit sphere towards the branch's direction.

    Equation: x' = n(n(x) + |a| (n(F(x)) - n(x))), n(x) = x / |x|, a = 0.05 at the start
    State: one tensor.
    Start: other (a short step on the sphere).
    Cost: C parameters a site.
    Source: Loshchilov et al. 2024, arXiv:2410.01131, eq. 10 and 11. The parameter is stored times
        1 / (0.05 sqrt(C)). That the branch's weights are normed after each step is not part of
        the connection.

    Args:
        site: where it sits on the stream.
        alpha: initial value of a.

    >>> x = torch.tensor([3.0, 4.0])
    >>> NGPT(Site(width=2)).write(x, x, None).detach()
    tensor([0.6000, 0.8000])
    """

    identity_at_zero = "normed"
    linear = False

    def __init__(self, site: Site, alpha: Annotated[float, Gt(0)] = 0.05):
        super().__init__(site)
        self.factor = alpha * site.written**0.5
        self.alpha = nn.Parameter(torch.empty(site.written))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.alpha, self.site.written**-0.5)

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        axis = self.site.axis
        x = F.normalize(state, dim=axis)
        step = self.along(self.factor * self.alpha.abs())
        return F.normalize(x + step * (F.normalize(y, dim=axis) - x), dim=axis)


class Keel(Connection):
    r"""Post-norm with an amplified carry: the norms stand around the sum and before the branch.

    Equation: x' = LN(a x + F(LN(x))), a = L
    State: one tensor.
    Start: other.
    Cost: no parameters.
    Source: Chen and Wei 2026, arXiv:2601.19895 (KEEL). LN norms over channels, without a gain.

    Args:
        site: where it sits on the stream.
        alpha: a; None: the number of writes L.

    >>> Keel(Site(width=2, total=6)).alpha
    6.0
    """

    identity_at_zero = "normed"
    linear = False

    def __init__(self, site: Site, alpha: Annotated[float, Gt(0)] | None = None):
        super().__init__(site)
        self.alpha = float(site.total) if alpha is None else alpha

    def read(self, state: Tensor) -> tuple[Tensor, None]:
        return layer_norm(state, self.site.axis), None

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return layer_norm(self.alpha * state + y, self.site.axis)


class ResidualDual(Connection):
    r"""Two residual streams: the branches read a post-normed one, a second one keeps the sum.

    Equation: p' = LN(p + F(p)), r' = r + F(p); at the end p + LN(r)
    State: a pair, the post-normed p and the sum r.
    Start: other.
    Cost: no parameters; one more tensor kept.
    Source: Xie et al. 2023, arXiv:2304.14802 (ResiDual). LN norms over channels,
        without a gain.

    Args:
        site: where it sits on the stream.

    >>> p, r = ResidualDual(Site(width=2)).write((torch.zeros(2), torch.ones(2)), torch.ones(2), 0)
    >>> r
    tensor([2., 2.])
    """

    identity_at_zero = "normed"
    linear = False
    whole = False

    def open(self, x: Tensor) -> NormedAndSum:
        return x, x

    def read(self, state: NormedAndSum) -> tuple[Tensor, None]:
        return state[0], None

    def write(self, state: NormedAndSum, y: Tensor, mix: None) -> NormedAndSum:
        p, r = state
        return layer_norm(p + y, self.site.axis), r + y

    def close(self, state: NormedAndSum) -> Tensor:
        p, r = state
        return p + layer_norm(r, self.site.axis)

    def post(self, fn: TensorFunction, state: NormedAndSum) -> NormedAndSum:
        return fn(state[0]), state[1]
