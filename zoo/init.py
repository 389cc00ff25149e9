"""Rules for the initial values of branches, applied after the paired draws: the axis `init=`.

A rule sees every branch of every stack with its site, so it knows the number of writes in the net.
What it draws depends on the seed and the name of the module, as the paired draws do. It does not
change parameters of connections.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from zoo.config.options import Needs
from zoo.connection import Site
from zoo.factors import factors, last
from zoo.norm import FOLLOWING
from zoo.seeding import common, generator
from zoo.stack import Stack

Gain = Annotated[float, Ge(0), Le(10)]
Draws = Callable[[str], torch.Generator]  # the generator of a module of the branch, by its name


class Default:
    """Leaves all draws as they are; the base class of the other rules.

    >>> Default().apply(nn.Linear(2, 2))
    """

    def branch(self, branch: nn.Module, site: Site, draws: Draws) -> None:
        """Changes the weights of one branch.

        Args:
            branch: is changed.
            site: of its write.
            draws: gives the generator of a module of the branch by the module's name.
        """

    def shortcut(self, shortcut: nn.Module) -> None:
        """Changes the weights of one shortcut."""

    def head(self, head: nn.Module) -> None:
        """Changes the weights of the model's head; not called if it shares them with the stem."""

    @torch.no_grad()
    def apply(self, model: nn.Module, seed: int = 0) -> None:
        """Changes the branches and shortcuts of all stacks in a model, and its head.

        Args:
            model: lies on the CPU.
            seed: of the run; draws of the rule depend on it.
        """
        for name, stack in model.named_modules():
            if isinstance(stack, Stack):
                for index, branch in enumerate(stack.branches):
                    draws = partial(generator, seed, "init", f"{name}.branches.{index}")
                    self.branch(branch, stack.sites[index].site, draws)  # type: ignore[arg-type]
                for shortcut in filter(None, stack.shortcuts):
                    self.shortcut(shortcut)
        head, stem = getattr(model, "head", None), getattr(model, "stem", nn.Identity())
        shared = {id(parameter) for parameter in stem.parameters()}
        if isinstance(head, nn.Module) and shared.isdisjoint(map(id, head.parameters())):
            self.head(head)


class ZeroLast(Default):
    """Scales the last factor of every branch: its closing norm's gain, else its last weights.

    Args:
        gain: the factor, for the bias beside them too: 0 starts every branch at zero, 1 changes
            nothing.
        shortcut: initial gain of the norm behind a projection.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 5.1 (gain); Radford et al. 2019 and Ho et
        al. 2020, arXiv:2006.11239 (weights).
    """

    counts_with: ClassVar[Needs] = {
        "shortcut": (
            ("model.shortcut", ("B", "C")),
            ("model.shortcut_norm", ("true",)),
            FOLLOWING,
        )
    }

    def __init__(self, gain: Gain = 0.0, shortcut: Gain = 1.0):
        self.gain, self.shortcut_gain = gain, shortcut

    def branch(self, branch: nn.Module, site: Site, draws: Draws) -> None:
        for weight, bias in last(branch):
            for parameter in (weight,) if bias is None else (weight, bias):
                parameter.mul_(self.gain).add_(0.0)  # zeros without a sign

    def shortcut(self, shortcut: nn.Module) -> None:
        for weight, _ in factors(shortcut):
            if weight.ndim == 1:
                weight.fill_(self.shortcut_gain)


class GPT2(Default):
    """Divides the last weights of every branch by the square root of the number of writes.

    Source: Radford et al. 2019, Language Models are Unsupervised Multitask Learners, section 2.3.
    """

    def branch(self, branch: nn.Module, site: Site, draws: Draws) -> None:
        for weight, _ in last(branch, 2):
            weight.mul_(site.total**-0.5)


class Fixup(Default):
    """Scales inner weights down and zeroes the last ones and the head, for nets without norms.

    With m weights in a branch and L writes, all but the last are multiplied by L^(-1 / (2 m - 2)).
    The scalar biases and multipliers of the paper are the biases of the layers and the connection's
    factor (`connection=skip_init connection.alpha=1`). A head that shares its weights with the stem
    is left as it is.

    Source: Zhang et al. 2019, arXiv:1901.09321, section 3.
    """

    def branch(self, branch: nn.Module, site: Site, draws: Draws) -> None:
        outer = [weight for weight, _ in last(branch, 2)]
        weights = [weight for weight, _ in factors(branch) if weight.ndim > 1]
        inner = [weight for weight in weights if not any(weight is other for other in outer)]
        for weight in inner:
            weight.mul_(site.total ** (-1 / (2 * len(inner))))
        for weight in outer:
            weight.zero_()

    def head(self, head: nn.Module) -> None:
        for parameter in head.parameters():
            parameter.zero_()


class Dirac(Default):
    """Weights of a branch begin as the identity of their first channels.

    The map from input channel i to output channel i is 1 at the middle of the window and 0
    elsewhere, in each group and in each of the maps that lie in one weight; outputs beyond the
    number of inputs stay as drawn. A plain stack then starts near a stack of identities.

    Source: Zagoruyko and Komodakis 2017, arXiv:1706.00388; Jordan 2024, arXiv:2404.00498,
        section 3.3, leaves further outputs as drawn.
    """

    def branch(self, branch: nn.Module, site: Site, draws: Draws) -> None:
        for module in branch.modules():
            weight = getattr(module, "weight", None)
            if not isinstance(weight, nn.Parameter) or weight.ndim < 2:
                continue
            parts = getattr(module, "maps", getattr(module, "groups", 1))
            for rows in common(module, weight).chunk(parts):
                first = rows[: rows.shape[1]].zero_()
                while first.ndim > 2:  # the middle of the window
                    first = first.select(2, first.shape[2] // 2)
                first.fill_diagonal_(1.0)


class DeepNorm(Default):
    """Draws weights by Xavier's normal rule with a gain of (4 L)^(-1/4), where L counts the writes.

    An encoder block writes twice. The gain of queries and keys is 1. Maps that lie in one weight
    are drawn one by one, with the fans of each; those of a convolution include its window.

    Source: Wang et al. 2022, arXiv:2203.00555, figure 2, encoder-only with N = L / 2 blocks:
        beta = (8 N)^(-1/4). Its carry is `connection=scaled` with L^(1/4) on the state.
    """

    def branch(self, branch: nn.Module, site: Site, draws: Draws) -> None:
        beta = (4 * site.total) ** -0.25
        for name, module in branch.named_modules():
            weight = getattr(module, "weight", None)
            if not isinstance(weight, nn.Parameter) or weight.ndim < 2:
                continue
            drawn, shared = draws(name), common(module, weight)
            for number, rows in enumerate(shared.chunk(getattr(module, "maps", 1))):
                xavier(rows, 1.0 if number < getattr(module, "queries", 0) else beta, drawn)
            if shared.shape != weight.shape:
                xavier(weight[:, shared.shape[1] :], beta, drawn)


def xavier(weight: Tensor, gain: float, draws: torch.Generator) -> None:
    """Draws a weight again from a normal distribution (Glorot and Bengio 2010, eq. 12 and 16)."""
    drawn = torch.empty_like(weight, memory_format=torch.contiguous_format)
    weight.copy_(nn.init.xavier_normal_(drawn, gain, draws))
