"""The mixing matrix: the input of every branch as a sum of what branches have written."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.connection import Connection, Site
from zoo.models.layers.level import Level
from zoo.stack import Stack


@torch.no_grad()
def mixing(sites: Sequence[Connection] | nn.ModuleList) -> Tensor:
    """The mixing matrix M of connections in a row that are linear in their state.

    Row l holds the input of branch l as a sum over j <= l of M[l, j] y_j, where y_0 is the
    embedding and y_j the output of branch j - 1. The last row is the output of the stack.
    Since a rule is pointwise, one pass with y_j = the j-th unit vector along the batch gives all
    coefficients at once. Rules with a factor for every channel report the mean over channels.

    Args:
        sites: the connections at the sites of one stack, in order, such as `Stack.sites`.

    Returns:
        `[L + 1, L + 1]`, lower triangular.

    Errors:
        ValueError: a rule is not linear in its state (its matrix would depend on the data).

    >>> from zoo.connection import Site
    >>> from zoo.connections.additive import Residual
    >>> mixing([Residual(site) for site in Site.line(2, 2)])
    tensor([[1., 0., 0.],
            [1., 1., 0.],
            [1., 1., 1.]])
    """
    walk = Walk(len(sites), next((p.device for s in sites for p in s.parameters()), None))
    return walk.closed(walk.stack(list(sites), walk.unit(0)))  # type: ignore[arg-type]


@torch.no_grad()
def net_mixing(model: nn.Module) -> Tensor | None:
    """The mixing matrix of a whole net, or None where one of its rules is not linear.

    In a U-Net the branches come in the order in which they are computed, and a level's long site
    joins the stream that entered it with what the smaller U-Net gives back; what changes the size
    of the image in between is taken as the identity. A rule that hands both on side by side, as
    `concat`, gives each one half.

    Args:
        model: a net whose `body` holds its stacks, one by one or in levels.

    Returns:
        `[L + 1, L + 1]`, lower triangular; as of `mixing`.
    """
    body = getattr(model, "body", model)
    stacks = [module for module in body.modules() if isinstance(module, Stack)]
    levels = [module for module in body.modules() if isinstance(module, Level)]
    sites = [connection for stack in stacks for connection in stack.sites]
    if not sites or not all(rule.linear for rule in [*sites, *(level.site for level in levels)]):
        return None
    walk = Walk(len(sites), next(model.parameters()).device)
    return walk.closed(walk.through(body, walk.unit(0)))


class Walk:
    """A walk through a net that collects the row of the mixing matrix for each branch.

    Args:
        branches: L, their number.
        device: on which the rules compute.
    """

    def __init__(self, branches: int, device: torch.device | None):
        self.units = torch.eye(branches + 1, device=device)
        self.rows: list[Tensor] = []

    def unit(self, j: int) -> Tensor:
        """The coefficients `[L + 1]` of y_j."""
        return self.units[j]

    def closed(self, row: Tensor) -> Tensor:
        """The whole matrix, whose last row is that of the output."""
        return torch.stack([*self.rows, row])

    def through(self, module: nn.Module, row: Tensor) -> Tensor:
        """The row of a module's output, from that of its input; the same without streams in it."""
        if isinstance(module, Stack):
            return self.stack(list(module.sites), row)  # type: ignore[arg-type]
        if isinstance(module, Level):
            return self.level(module, row)
        for child in module.children():
            row = self.through(child, row)
        return row

    def stack(self, sites: list[Connection], row: Tensor) -> Tensor:
        """The row of a stack's output, from that of its input."""
        rules = [fixed(site) for site in sites]
        state = rules[0].open(spread(row, rules[0].site.width, rules[0].site)) if rules else row
        for rule in rules:
            site = rule.site
            x, mix = rule.read(state)
            self.rows.append(averaged(x))
            if site.out is not None or 0 < site.opened_at == site.index:
                state = rule.change(functools.partial(widened, site=site), state)
            y = spread(self.unit(len(self.rows)), site.written, site)
            state = rule.write(state, y, mix)
        return averaged(rules[-1].close(state)) if rules else row

    def level(self, level: Level, row: Tensor) -> Tensor:
        """The row of the output of a U-Net's level, from that of its input."""
        rule, site = fixed(level.site), level.site.site
        state = rule.open(spread(self.through(level.enter, row), site.width, site))
        x, mix = rule.read(state)
        inner = self.through(level.inner, averaged(x))
        if site.out is not None:
            state = rule.change(functools.partial(widened, site=site), state)
        state = rule.write(state, spread(inner, site.written, site), mix)
        return self.through(level.leave, averaged(rule.close(state)))


def fixed(rule: Connection) -> Connection:
    """A copy of a rule in evaluation mode, in which it draws no random masks."""
    return copy.deepcopy(rule).eval()


def spread(row: Tensor, width: int, site: Site) -> Tensor:
    """Coefficients `[L + 1]` as a batch of L + 1 examples, equal in each of `width` channels."""
    return row.view(-1, *[1] * -site.axis).repeat(1, width, *[1] * (-site.axis - 1))


def averaged(x: Tensor) -> Tensor:
    """The coefficients `[L + 1]` of a batch, as the mean over channels."""
    return x.reshape(len(x), -1).mean(1)


def widened(x: Tensor, site: Site) -> Tensor:
    """The mean over channels, repeated in every channel that the site writes."""
    return x.mean(site.axis, keepdim=True).repeat_interleave(site.written, site.axis)
