"""Rules that leave out branches at random while training."""

from __future__ import annotations

import functools
from typing import Annotated

import torch
from annotated_types import Gt, Le
from torch import Tensor

from zoo.connection import Connection, Site
from zoo.shard import drawn


class StochasticDepth(Connection):
    r"""Leaves out branches at random while training, later ones more often.

    Equation: x' = x + (m / p_l) F(x), m ~ Bernoulli(p_l), p_l = 1 - (l / L) (1 - p_L), l = 1 ... L;
        x' = x + F(x) in evaluation
    State: one tensor.
    Start: residual in evaluation.
    Cost: no parameters; the branch is computed and masked, never skipped.
    Source: Huang et al. 2016, arXiv:1603.09382, eq. 2 and 4. The paper multiplies by p_l in
        evaluation; dividing by it while training, as timm does, has the same mean. One mask for
        each sample (first axis), or for the whole graph where the state is `[N, C]`.

    Args:
        site: where it sits on the stream.
        survival: p_L, the probability that the last branch is written.

    >>> [StochasticDepth(site).survival.item() for site in Site.line(4, 2)]
    [0.75, 0.5]
    """

    init_equals = "residual"
    identity_at_zero = "exact"

    def __init__(self, site: Site, survival: Annotated[float, Gt(0), Le(1)] = 0.5):
        super().__init__(site)
        kept = torch.tensor(1 - (site.index + 1) / site.total * (1 - survival))
        self.survival: Tensor
        self.register_buffer("survival", kept, persistent=False)  # so compiled sites share code

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        if not self.training:
            return state + y
        shape = [y.shape[0] if y.ndim > 2 else 1, *[1] * (y.ndim - 1)]
        draws = drawn(functools.partial(torch.rand, device=y.device), shape)
        return state + (draws < self.survival).to(y.dtype) / self.survival * y
