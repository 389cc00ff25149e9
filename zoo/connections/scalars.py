"""Rules with learned scalars on state or branch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from zoo.config.sizes import Width
from zoo.connection import Connection, Pointwise, Site
from zoo.connections.additive import ReZero


class SkipInit(ReZero):
    r"""A learned scalar on the branch that starts at zero and stands in for norms.

    Equation: x' = x + a F(x), a = 0 at the start
    State: one tensor.
    Start: identity.
    Cost: 1 parameter a site.
    Source: De and Smith 2020, arXiv:2002.10444.

    Args:
        site: where it sits on the stream.
        alpha: initial value of a.

    >>> SkipInit(Site(width=2)).alpha.item()
    0.0
    """


class Weighted(Connection):
    r"""Learned scalars on both the state and the branch.

    Equation: x' = r x + b F(x), r = b = 1 at the start
    State: one tensor.
    Start: residual.
    Cost: 2 parameters a site.
    Source: Shen et al. 2016, arXiv:1605.08831, eq. 2 (a weight on the branch); the weight on the
        state as in x-transformers' `scale_residual`.

    Args:
        site: where it sits on the stream.
        state: initial value of r.
        branch: initial value of b.

    >>> Weighted(Site(width=1)).write(torch.ones(1), torch.ones(1), None).item()
    2.0
    """

    init_equals = "residual"
    identity_at_zero = "scaled"

    def __init__(self, site: Site, state: float = 1.0, branch: float = 1.0):
        super().__init__(site)
        self.init_values = (state, branch)
        self.state = nn.Parameter(torch.empty(()))
        self.branch = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.state, self.init_values[0])
        nn.init.constant_(self.branch, self.init_values[1])

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return self.state * state + self.branch * y


class Laurel(Connection):
    r"""Learned augmented residual: learned scalars and a low-rank map beside the identity.

    Equation: x' = a F(x) + b (x + B A x), a = b = 1 and B = 0 at the start
    State: one tensor.
    Start: residual.
    Cost: 2 parameters a site (`rw`), 2 r C (`lr`) or both.
    Source: Menghani et al. 2024, arXiv:2411.07501, section 2: LAuReL-RW (a, b), LAuReL-LR (A, B).
        The form over earlier activations is not here; `denseformer` is near to it.

    Args:
        site: where it sits on the stream.
        form: `rw` for the scalars, `lr` for the low-rank map, or both.
        rank: r.

    >>> sum(p.numel() for p in Laurel(Site(width=8), "rw_lr", rank=2).parameters())
    34
    """

    init_equals = "residual"
    identity_at_zero = "exact"

    def __init__(
        self,
        site: Site,
        form: Literal["rw", "lr", "rw_lr"] = "rw_lr",
        rank: Width = 4,
    ):
        super().__init__(site)
        self.form = form
        self.linear = form == "rw"  # the low-rank map mixes channels
        if "rw" in form:
            self.weights = nn.Parameter(torch.empty(2))
        if "lr" in form:
            self.down = Pointwise(site.written, rank, site.axis, bias=False)
            self.up = Pointwise(rank, site.written, site.axis, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if "rw" in self.form:
            nn.init.ones_(self.weights)
        if "lr" in self.form:
            nn.init.zeros_(self.up.weight)

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        if "lr" in self.form:
            state = state + self.up(self.down(state))
        return self.weights[0] * y + self.weights[1] * state if "rw" in self.form else state + y
