"""Measures of a stream at one depth: how alike its nodes, tokens, positions or classes are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROUNDING = 1e-12  # of a cosine in double precision
TINY = 1e-100  # a norm that is taken for one
PAIRS = 2**24  # distances that are kept at once


def dirichlet_energy(x: Tensor, edge_index: Tensor | None = None) -> Tensor:
    r"""The normalised Dirichlet energy of node features: near 0 where neighbours are alike.

    Equation: tr(X^T (I - D^-1/2 A D^-1/2) X) / ||X||_F^2, where A has self-loops; with an edge
        between all nodes 1 - N |mean|^2 / ||X||_F^2
    Source: Cai and Wang 2020, arXiv:2006.13318, definition 3.1, divided by the squared norm
        because the energy alone grows with the scale of the features. With all edges it is the
        square of the residual of Dong et al. 2021, arXiv:2103.03404, section 2.1, over the norm.

    Args:
        x: `[N, C]` node features, or `[B, N, C]`: the mean over B examples.
        edge_index: `[2, E]` edges, both directions listed, without self-loops. None: between all
            nodes, as attention has them.

    >>> ring = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]])
    >>> round(dirichlet_energy(torch.ones(4, 1), ring).item(), 6)
    0.0
    """
    x = x.detach().double()
    count = x.shape[-2]
    if edge_index is None:
        smooth = x.sum(-2).square().sum(-1) / count
    else:
        source, target = edge_index
        degree = torch.bincount(target, minlength=count).double() + 1
        scaled = x / degree.sqrt()[:, None]
        neighbours = torch.zeros_like(scaled).index_add(-2, target, scaled[..., source, :])
        smooth = ((neighbours + scaled) * scaled).sum((-2, -1))
    norm = x.square().sum((-2, -1))
    return torch.where(norm > 0, 1 - smooth / norm, 0.0).clamp(min=0).mean().float()


def mean_average_distance(x: Tensor, edge_index: Tensor | None = None) -> Tensor:
    r"""The mean cosine distance (MAD) of nodes to their neighbours, or to all: 0 where alike.

    Equation: mean over nodes i of the mean over j of 1 - x_i . x_j / (|x_i| |x_j|), where pairs
        with distance 0 and nodes without any other pair are left out of both means
    Source: Chen et al. 2020, arXiv:1909.03211, eq. 1-4; `edge_index` selects the target pairs, so
        that MADGap is the value for remote pairs less the one for neighbours.

    Args:
        x: `[N, C]` node features, or `[B, N, C]`: the mean over B examples.
        edge_index: `[2, E]` pairs (j, i). None: all pairs.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    >>> mean_average_distance(x).item(), mean_average_distance(x, torch.tensor([[1], [2]])).item()
    (1.0, 0.0)
    """
    unit = directions(x)
    if unit.ndim == 3:
        each = [mean_average_distance(example, edge_index) for example in unit]
        return torch.stack(each).mean()
    count = len(unit)
    total, pairs = unit.new_zeros(count), unit.new_zeros(count)
    if edge_index is None:
        size = max(1, PAIRS // count)
        for start in range(0, count, size):
            distance = far(1 - unit[start : start + size] @ unit.T)
            total[start : start + size] = distance.sum(1)
            pairs[start : start + size] = (distance != 0).sum(1)
    else:
        size = max(1, PAIRS // unit.shape[1])
        for source, target in zip(*(end.split(size) for end in edge_index), strict=True):
            distance = far(1 - (unit[source] * unit[target]).sum(1))
            total.index_add_(0, target, distance)
            pairs.index_add_(0, target, (distance != 0).double())
    known = pairs > 0
    return (total[known] / pairs[known]).mean().float() if known.any() else total.sum().float()


def directions(x: Tensor) -> Tensor:
    """Features `[..., C]` at length 1, however small they were; zeros stay."""
    return nn.functional.normalize(x.detach().double(), dim=-1, eps=TINY)


def far(distance: Tensor) -> Tensor:
    """Distances of which those within rounding are 0; numbers that are not finite stay."""
    return distance.masked_fill(distance <= ROUNDING, 0)


def token_similarity(x: Tensor) -> Tensor:
    r"""The mean cosine between two tokens of one text: near 1 where they are alike.

    Equation: mean over texts and pairs s != t of x_s . x_t / (|x_s| |x_t|)
    Source: the rank collapse of Dong et al. 2021, arXiv:2103.03404, measured as by Noci et al.
        2022, arXiv:2206.03126.

    Args:
        x: `[B, T, C]` with T > 1: tokens of texts, positions of images or nodes of graphs.

    >>> token_similarity(torch.tensor([[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]])).item()
    0.3333333333333333
    """
    unit = directions(x)
    count = x.shape[1]
    squared = unit.square().sum((1, 2))
    return ((unit.sum(1).square().sum(1) - squared) / (count * (count - 1))).mean()


def effective_rank(x: Tensor) -> Tensor:
    r"""The effective rank of features: how many directions share their size evenly.

    Equation: exp(-sum_k p_k log p_k), p_k = s_k / sum_j s_j, with singular values s; 0 for zeros
    Source: Roy and Vetterli 2007, The effective rank, EUSIPCO, definition 1.

    Args:
        x: `[..., C]`; all positions are rows of one matrix.

    >>> round(effective_rank(torch.eye(3)).item(), 6), effective_rank(torch.ones(5, 3)).item()
    (3.0, 1.0)
    """
    rows = x.detach().double().flatten(0, -2)
    if not rows.isfinite().all():
        return rows.new_tensor(torch.nan).float()
    values = torch.linalg.svdvals(rows)
    if not values.any():
        return values.sum().float()
    return torch.special.entr(values / values.sum()).sum().exp().float()


def class_separation(x: Tensor, labels: Tensor) -> Tensor:
    r"""The share of the cosine distance that is between classes: 0 where they are mixed, 1 at best.

    Equation: 1 - d_within / d_total, d_within the mean over classes of the mean of 1 - cos over
        pairs of one class (of a member with itself too), d_total that over all pairs with every
        class weighted alike; 0 where all are alike
    Source: Kornblith et al. 2021, arXiv:2010.16402, class separation R^2.

    Args:
        x: `[N, C]`.
        labels: `[N]` the class of each, from 0.

    >>> x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> class_separation(x, torch.tensor([0, 0, 1])).item()
    1.0
    """
    unit = directions(x)
    number = torch.bincount(labels)
    sums = unit.new_zeros(len(number), unit.shape[1]).index_add(0, labels, unit)
    means = sums[number > 0] / number[number > 0, None]
    within = 1 - means.square().sum(1).mean()
    total = 1 - means.mean(0).square().sum()
    return torch.where(total.abs() > ROUNDING, 1 - within / total, 0.0).float()
