"""How much of the gradient comes through paths of each length, a length being branches passed."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from zoo.connection import State
from zoo.probes.stream.lesion import random_sets, writes_of
from zoo.probes.stream.profile import norm
from zoo.probes.watch.backward import differentiated, gradients_of, scalar
from zoo.probes.watch.calls import tensors_in
from zoo.probes.watch.untouched import Loss
from zoo.probes.watch.watched import watched
from zoo.probes.watch.writes import Watch, Write


@dataclass(frozen=True)
class Paths:
    """The gradient that reaches the first stream of a net through paths of each length 0 ... L.

    Args:
        count: `[L + 1]`, number of paths.
        gradient: `[L + 1]`, norm of the gradient through one path, mean over the drawn ones.
    """

    count: Tensor
    gradient: Tensor

    @property
    def share(self) -> Tensor:
        """`[L + 1]`, share of each length in the sum of the norms over all paths."""
        total = self.count * self.gradient
        return total / total.sum()

    @property
    def effective_length(self) -> float:
        """The mean length of a path, weighted by its gradient."""
        return float(self.share @ torch.arange(len(self.share), dtype=torch.double))


class OnePath(Watch):
    """Lets the gradient through some branches, and past all others.

    Args:
        branches: indices of the writes whose branch it takes.
    """

    def __init__(self, branches: Collection[int]):
        self.branches = branches
        self.gradients: list[Tensor] = []
        self.start: State = None

    def terms(self, write: Write, state: State, branch: Tensor) -> tuple[State, Tensor]:
        if write.index == 0:
            for tensor in tensors_in(state):
                if tensor.requires_grad:
                    tensor.register_hook(self.gradients.append)
        if write.index in self.branches:
            return tree_map_only(Tensor, Tensor.detach, state), branch
        return state, branch.detach()


def gradient_paths(
    module: nn.Module, batch: Any, loss: Loss, draws: int = 8, seed: int = 0
) -> Paths:
    r"""The gradient at the first stream of a net by the length of the paths it comes through.

    Equation: dL/dx_0 = sum over sets S of branches of prod_l (dy_l/dx_l where l is in S, else I)^T
        dL/dx_L; there are binomial(L, k) sets of k branches
    Source: Veit et al. 2016, arXiv:1605.06431, section 4.4

    The forward pass is the whole net's for every path; the gradient alone is led through some
    branches and past the others.

    Args:
        module: the net.
        batch: what `loss` takes.
        loss: gives a scalar, of the net and the batch.
        draws: paths of each length that are measured, at most.
        seed: of the draws.

    Errors:
        ValueError: the net has no write.
    """
    length = len(writes_of(module, batch, loss))
    if not length:
        raise ValueError("the net has no skip: no connection, and no sum of a value and its branch")
    means = []
    for k in range(length + 1):
        sets = random_sets(length, k, min(draws, math.comb(length, k)), seed + k)
        values = [gradient_through(chosen, module, batch, loss) for chosen in sets]
        means.append(torch.stack(values).mean())
    count = torch.tensor([math.comb(length, k) for k in range(length + 1)], dtype=torch.double)
    return Paths(count, torch.stack(means).cpu())


def gradient_through(
    branches: Collection[int], module: nn.Module, batch: Any, loss: Loss
) -> Tensor:
    """The norm `[]` of the gradient at the first stream through one path."""
    watch = OnePath(branches)
    with watched(module, watch), differentiated(module) as given:
        gradients_of(scalar(loss(module, batch)), module, given)
    return norm(watch.gradients) if watch.gradients else torch.zeros((), dtype=torch.double)
