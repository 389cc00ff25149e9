"""Rules whose state is one tensor, with fixed or learned factors."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from zoo.connection import Connection, Site


class Plain(Connection):
    r"""No skip connection: the control of every comparison.

    Equation: x' = F(x)
    State: one tensor.
    Start: plain.
    Cost: no parameters.
    Source: He et al. 2015, arXiv:1512.03385, section 3.3 (plain network).

    Args:
        site: where it sits on the stream.

    >>> Plain(Site(width=2)).write(torch.ones(2), torch.zeros(2), None)
    tensor([0., 0.])
    """

    init_equals = "plain"
    carries = False

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return y


class Residual(Connection):
    r"""The identity shortcut.

    Equation: x' = x + F(x)
    State: one tensor.
    Start: residual.
    Cost: no parameters.
    Source: He et al. 2015, arXiv:1512.03385, eq. 1.

    Args:
        site: where it sits on the stream.

    >>> Residual(Site(width=2)).write(torch.ones(2), torch.ones(2), None)
    tensor([2., 2.])
    """

    init_equals = "residual"
    identity_at_zero = "exact"

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return state + y


class Scaled(Connection):
    r"""Fixed factors on state and branch; the branch may shrink with the number of writes L.

    Equation: x' = s L^q x + b L^(-p) F(x)
    State: one tensor.
    Start: a fixed mixture.
    Cost: no parameters.
    Source: Yang et al. 2023, arXiv:2310.02244 (p = 1/2); Chen et al. 2018, arXiv:1806.07366,
        eq. 1 as an Euler step (p = 1); Wang et al. 2022, arXiv:2203.00555, figure 2 (q = 1/4,
        p = 0).

    Args:
        site: where it sits on the stream.
        state: s, the factor on the state.
        branch: b, the factor on the branch.
        exponent: p; 0.5 gives 1/sqrt(total), 1 gives 1/total, 0 a constant factor.
        state_exponent: q.

    >>> Scaled(Site(width=1, total=4)).write(torch.ones(1), torch.ones(1), None)
    tensor([1.5000])
    """

    identity_at_zero = "scaled"

    def __init__(
        self,
        site: Site,
        state: float = 1.0,
        branch: float = 1.0,
        exponent: Annotated[float, Ge(0)] = 0.5,
        state_exponent: float = 0.0,
    ):
        super().__init__(site)
        self.state_scale = state * site.total**state_exponent
        self.branch_scale = branch * site.total**-exponent

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return self.state_scale * state + self.branch_scale * y


class ReZero(Connection):
    r"""A learned scalar on the branch that starts at zero.

    Equation: x' = x + a F(x), a = 0 at the start
    State: one tensor.
    Start: identity.
    Cost: 1 parameter a site.
    Source: Bachlechner et al. 2020, arXiv:2003.04887, eq. 1.

    Args:
        site: where it sits on the stream.
        alpha: initial value of a.

    >>> ReZero(Site(width=2)).alpha.item()
    0.0
    """

    init_equals = "identity"
    identity_at_zero = "exact"

    def __init__(self, site: Site, alpha: float = 0.0):
        super().__init__(site)
        self.init_alpha = alpha
        self.alpha = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.alpha, self.init_alpha)

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return state + self.alpha * y


class LayerScale(Connection):
    r"""A learned factor for every channel of the branch that starts near zero.

    Equation: x' = x + diag(g) F(x), g = 1e-4 at the start
    State: one tensor.
    Start: near the identity.
    Cost: C parameters a site.
    Source: Touvron et al. 2021, arXiv:2103.17239, eq. 4.

    Args:
        site: where it sits on the stream.
        gamma: initial value of every g.

    >>> LayerScale(Site(width=2)).gamma.shape
    torch.Size([2])
    """

    identity_at_zero = "exact"

    def __init__(self, site: Site, gamma: float = 1e-4):
        super().__init__(site)
        self.init_gamma = gamma
        self.gamma = nn.Parameter(torch.empty(site.written))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.gamma, self.init_gamma)

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return state + self.along(self.gamma) * y
