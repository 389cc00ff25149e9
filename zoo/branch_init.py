"""Rules for the start of branches, applied after the paired draws: an axis of its own.

A rule sees every branch of every stack with its site, so it knows the number of writes in the net.
The connections' own parameters are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from zoo.connection import Site
from zoo.stack import Stack


class Default:
    """The draws as they are.

    >>> Default().apply(nn.Linear(2, 2))
    """

    def branch(self, branch: nn.Module, site: Site) -> None:
        """Changes one branch in place."""

    def head(self, head: nn.Module) -> None:
        """Changes in place the model's head, if it has weights of its own."""

    @torch.no_grad()
    def apply(self, model: nn.Module) -> None:
        """Changes the branches of all stacks in a model, and its head."""
        for stack in model.modules():
            if isinstance(stack, Stack):
                for branch, rule in zip(stack.branches, stack.sites, strict=True):
                    self.branch(branch, rule.site)  # type: ignore[arg-type]
        head, stem = getattr(model, "head", None), getattr(model, "stem", nn.Identity())
        shared = {id(parameter) for parameter in stem.parameters()}
        if isinstance(head, nn.Module) and shared.isdisjoint(map(id, head.parameters())):
            self.head(head)


class ZeroLast(Default):
    """Zero in the last factor of every branch: its closing norm's gain, else its last weights.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 5.1 (gain); Radford et al. 2019 and Ho et
        al. 2020, arXiv:2006.11239 (weights).
    """

    def branch(self, branch: nn.Module, site: Site) -> None:
        for weight, bias in list(factors(branch))[-1:]:
            weight.zero_()
            if bias is not None:
                bias.zero_()


class GPT2(Default):
    """The last weights of every branch divided by the square root of the number of writes.

    Source: Radford et al. 2019, Language Models are Unsupervised Multitask Learners, section 2.3.
    """

    def branch(self, branch: nn.Module, site: Site) -> None:
        for weight in weights(branch)[-1:]:
            weight.mul_(site.total**-0.5)


class Fixup(Default):
    """For nets without norms: inner weights scaled down, last ones and the head's zero.

    With m weights in a branch and L writes, all but the last are multiplied by L^(-1 / (2 m - 2)).
    The scalar biases and multipliers of the paper are the biases of the layers and the connection's
    factor (`connection=skip_init connection.alpha=1`). A head that shares its weights with the stem
    keeps them.

    Source: Zhang et al. 2019, arXiv:1901.09321, section 3.
    """

    def branch(self, branch: nn.Module, site: Site) -> None:
        inner = weights(branch)[:-1]
        for weight in inner:
            weight.mul_(site.total ** (-1 / (2 * len(inner))))
        for weight in weights(branch)[-1:]:
            weight.zero_()

    def head(self, head: nn.Module) -> None:
        for parameter in head.parameters():
            parameter.zero_()


class DeepNorm(Default):
    """Weights of the branches divided by (4 L)^(1/4), L writes (two for each encoder block).

    Queries and keys are left as they are drawn.

    Source: Wang et al. 2022, arXiv:2203.00555, figure 2, encoder-only with N = L / 2 blocks:
        beta = (8 N)^(-1/4). Its carry is `connection=scaled` with L^(1/4) on the state.
    """

    def branch(self, branch: nn.Module, site: Site) -> None:
        for module in branch.modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, nn.Parameter) and weight.ndim > 1:
                weight[getattr(module, "queries", 0) :].mul_((4 * site.total) ** -0.25)


def factors(branch: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Weight (or gain) and bias of every layer and norm of a branch, in order."""
    for module in branch.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter):
            yield weight, getattr(module, "bias", None)


def weights(branch: nn.Module) -> list[Tensor]:
    """The weights with two or more axes of a branch, in order."""
    return [weight for weight, _ in factors(branch) if weight.ndim > 1]
