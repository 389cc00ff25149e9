"""Rules that keep the stream's first value as an anchor."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from zoo.connection import Connection, Site, TensorFunction

ValueAndAnchor = tuple[Tensor, Tensor]


class Initial(Connection):
    r"""The initial residual: every branch output is blended with the first value.

    Equation: x' = (1 - a) F(x) + a x0
    State: a pair, the value and the anchor x0.
    Start: a fixed mixture.
    Cost: no parameters; one more tensor kept.
    Source: Chen et al. 2020, arXiv:2007.02133, eq. 5 (GCNII); Gasteiger et al. 2019,
        arXiv:1810.05997, eq. 4 (APPNP).

    Args:
        site: where it sits on the stream.
        alpha: a, the share of the first value.

    >>> Initial(Site(width=1)).write((torch.zeros(1), torch.ones(1)), torch.zeros(1), None)[0]
    tensor([0.1000])
    """

    identity_at_zero = "scaled"

    def __init__(self, site: Site, alpha: Annotated[float, Ge(0), Le(1)] = 0.1):
        super().__init__(site)
        self.alpha = alpha

    def open(self, x: Tensor) -> ValueAndAnchor:
        return x, x

    def read(self, state: ValueAndAnchor) -> tuple[Tensor, None]:
        return state[0], None

    def write(self, state: ValueAndAnchor, y: Tensor, mix: None) -> ValueAndAnchor:
        return torch.lerp(y, state[1].to(y.dtype), self.alpha), state[1]

    def close(self, state: ValueAndAnchor) -> Tensor:
        return state[0]

    def post(self, fn: TensorFunction, state: ValueAndAnchor) -> ValueAndAnchor:
        return fn(state[0]), state[1]
