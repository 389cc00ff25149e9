"""What a stream does: the mixing matrix of a rule, and by depth how alike nodes or tokens are."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.connection import Connection, Site
from zoo.stack import Stack


@torch.no_grad()
def mixing(sites: Sequence[Connection] | nn.ModuleList) -> Tensor:
    """The mixing matrix M of a row of connections that are linear in their state.

    Row l holds the input of branch l as a sum over j <= l of M[l, j] y_j, where y_0 is the
    embedding and y_j the output of branch j - 1. The last row is the output of the stack.
    Since a rule is pointwise, one pass with y_j = the j-th unit vector along the batch gives all
    coefficients at once. Rules with a factor for every channel report the mean over channels.

    Args:
        sites: the connections of one stack, in order.

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
    rules: list[Connection] = list(sites)  # type: ignore[arg-type]
    size = len(rules) + 1
    device = next((p.device for rule in rules for p in rule.parameters()), torch.device("cpu"))

    def unit(j: int, width: int, axis: int) -> Tensor:
        vector = torch.zeros(size, width, *[1] * (-axis - 1), device=device)
        vector[j] = 1
        return vector

    rules = [copy.deepcopy(rule).eval() for rule in rules]  # a random mask is no part of a rule
    first = rules[0].site
    state = rules[0].open(unit(0, first.width, first.axis))
    rows: list[Tensor] = []
    for j, rule in enumerate(rules):
        if not rule.linear:
            name = type(rule).__name__
            raise ValueError(f"{name} is not linear in its state, so it has no mixing matrix")
        site = rule.site
        x, mix = rule.read(state)
        rows.append(x.reshape(size, -1).mean(1))
        if site.out is not None or 0 < site.start == site.index:
            state = rule.change(functools.partial(widened, site=site), state)
        state = rule.write(state, unit(j + 1, site.written, site.axis), mix)
    rows.append(rules[-1].close(state).reshape(size, -1).mean(1))
    return torch.stack(rows)


def widened(x: Tensor, site: Site) -> Tensor:
    """The mean over channels in every channel that the site writes."""
    return x.mean(site.axis, keepdim=True).repeat_interleave(site.written, site.axis)


def stack_mixing(model: nn.Module) -> Tensor | None:
    """The mixing matrix of the first stack in a model, or None where there is none."""
    for module in model.modules():
        if isinstance(module, Stack) and len(module.sites):
            sites: list[Connection] = list(module.sites)  # type: ignore[arg-type]
            return mixing(sites) if all(rule.linear for rule in sites) else None
    return None


def dirichlet_energy(x: Tensor, edge_index: Tensor) -> Tensor:
    r"""Normalised Dirichlet energy of node features: near 0 where neighbours have become alike.

    Equation: tr(X^T (I - D^-1/2 A D^-1/2) X) / ||X||_F^2, where A has self-loops
    Source: Cai and Wang 2020, arXiv:2006.13318, definition 3.1, divided by the squared norm
        because the energy alone grows with the scale of the features.

    Args:
        x: `[N, C]` node features.
        edge_index: `[2, E]` edges, both directions listed, without self-loops.

    >>> ring = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]])
    >>> round(dirichlet_energy(torch.ones(4, 1), ring).item(), 6)
    0.0
    """
    x = x.detach().double()
    source, target = edge_index
    degree = torch.bincount(target, minlength=x.shape[0]).double() + 1
    scaled = x / degree.sqrt()[:, None]
    smooth = (scaled[source] * scaled[target]).sum() + scaled.square().sum()
    norm = x.square().sum()
    return torch.where(norm > 0, 1 - smooth / norm, 0.0).clamp(min=0).float()


def token_similarity(x: Tensor) -> Tensor:
    r"""Mean cosine of two tokens of one text: near 1 where attention has made them alike.

    Equation: mean over texts and pairs s != t of x_s . x_t / (|x_s| |x_t|)
    Source: the rank collapse of Dong et al. 2021, arXiv:2103.03404, measured as by Noci et al.
        2022, arXiv:2206.03126.

    Args:
        x: `[B, T, C]` with T > 1.

    >>> token_similarity(torch.tensor([[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]])).item()
    0.3333333333333333
    """
    unit = nn.functional.normalize(x.detach().double(), dim=-1)
    count = x.shape[1]
    squared = unit.square().sum((1, 2))
    return ((unit.sum(1).square().sum(1) - squared) / (count * (count - 1))).mean()
