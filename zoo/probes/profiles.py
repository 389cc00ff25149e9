"""Measures of a stream at one depth: how alike its nodes or tokens have become."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def dirichlet_energy(x: Tensor, edge_index: Tensor) -> Tensor:
    r"""The normalised Dirichlet energy of node features: near 0 where neighbours are alike.

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
    r"""The mean cosine between two tokens of one text: near 1 where they are alike.

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
