"""Rules that add a component of the branch, or mix channels of stream and branch."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Gt
from torch import Tensor, nn

from zoo.connection import Connection, Pointwise, Site, TensorFunction


class Orthogonal(Connection):
    r"""Adds only the component of the branch that is orthogonal to the stream.

    Equation: x' = x + y - (x . y / (x . x + e)) x, y = F(x)
    State: one tensor.
    Start: other.
    Cost: no parameters.
    Source: Oh et al. 2025, arXiv:2505.11881, over the channels of each position.

    Args:
        site: where it sits on the stream.
        epsilon: e.

    >>> Orthogonal(Site(width=2)).write(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 2.0]), None)
    tensor([1.0000, 2.0000])
    """

    identity_at_zero = "exact"
    linear = False

    def __init__(self, site: Site, epsilon: Annotated[float, Gt(0)] = 1e-6):
        super().__init__(site)
        self.epsilon = epsilon

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        axis = self.site.axis
        x = state.to(torch.promote_types(state.dtype, torch.float32))
        along = (x * y).sum(axis, keepdim=True) / (
            x.square().sum(axis, keepdim=True) + self.epsilon
        )
        return state + y - along.to(y.dtype) * state


class Delta(Connection):
    r"""Deep delta learning: the branch is a direction along which the stream is rewritten.

    Equation: x' = x + b k (v - k . x), k = F(x) / |F(x)|, b = 2 sigmoid(w_b . x + c_b),
        v = 4 sigmoid(w_v . x + c_v); b = 1 and v = 2 at the start
    State: one tensor (the vector form, one value channel).
    Start: other (the component along k is replaced by 2 k).
    Cost: 2 C + 2 parameters a site.
    Source: Zhang et al. 2026, arXiv:2601.00417, eq. 2.2 to 2.5. The short convolution of the
        reference code is left out: a connection acts on each position alone.

    Args:
        site: where it sits on the stream.

    >>> Delta(Site(width=2)).write(torch.tensor([5.0, 1.0]), torch.tensor([9.0, 0.0]), (1.0, 2.0))
    tensor([2., 1.])
    """

    identity_at_zero = "exact"
    linear = False

    def __init__(self, site: Site):
        super().__init__(site)
        self.gate = Pointwise(site.width, 2, site.axis)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def read(self, state: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        gates = self.pooled(torch.sigmoid(self.gate(state)))
        b, v = gates.chunk(2, self.site.axis)
        return state, (2 * b, 4 * v)

    def write(self, state: Tensor, y: Tensor, mix: tuple[Tensor, Tensor]) -> Tensor:
        b, v = mix
        k = F.normalize(y, dim=self.site.axis)
        return state + b * k * (v - (k * state).sum(self.site.axis, keepdim=True))


class Concat(Connection):
    r"""Concatenates branch and stream; a linear map brings them back to the stream's width.

    At a wide site W is the identity: the unit that follows reads both.

    Equation: x' = W [F(x); x] + c
    State: one tensor.
    Start: other (W is drawn as any linear map).
    Cost: 2 C^2 + C parameters a site; none at a wide one.
    Source: Ronneberger et al. 2015, arXiv:1505.04597, figure 1, as a write of one width; You et
        al. 2020, arXiv:2011.08843, section 3 (skip-cat).

    Args:
        site: where it sits on the stream.

    >>> Concat(Site(width=2))(torch.zeros(3, 2), nn.Identity()).shape
    torch.Size([3, 2])
    >>> Concat(Site(width=2, wide=True))(torch.zeros(3, 2), nn.Identity()).shape
    torch.Size([3, 4])
    """

    def __init__(self, site: Site):
        super().__init__(site)
        self.linear = site.wide
        both = 2 * site.written
        self.squeeze = None if site.wide else Pointwise(both, site.written, site.axis)

    @property
    def gives(self) -> int:
        return self.site.written + (self.site.width if self.site.wide else 0)

    def change(self, shortcut: TensorFunction, state: Tensor) -> Tensor:
        return state if self.site.wide else super().change(shortcut, state)

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        both = torch.cat([y, state], self.site.axis)
        return both if self.squeeze is None else self.squeeze(both)
