"""Convolutions, maps and norms of graph networks, in the form that the streams use them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric import nn as pyg

from zoo.models.layers.dropout import dropout
from zoo.models.layers.sparse import Sparse

Drawn = tuple[Tensor, Tensor]  # of drawn edges: degrees of the nodes, and a scale of each edge


def drawn_norm(edge_index: Tensor, degree: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Edges with a loop at every node, and the weights that the whole graph's normalisation gives.

    Equation: w_ij = s_ij / sqrt((d_i + 1) (d_j + 1)), whose expected value over the draws is the
        normalised adjacency where s_ij is the inverse of the chance that the edge is drawn

    Args:
        edge_index: `[2, E]` without loops.
        degree: d `[N]`, the edges into each node in the whole graph.
        scale: s `[E]`, for how many edges each one stands.

    Returns:
        `[2, E + N]` and `[E + N]`.
    """
    loops = torch.arange(len(degree)).expand(2, -1)
    source, target = index = torch.cat([edge_index, loops], 1)
    weight = torch.cat([scale, scale.new_ones(len(degree))])
    root = (degree + 1).to(scale.dtype).pow(-0.5)
    return index, root[source] * weight * root[target]


class FeatureLinear(nn.Linear):
    """A linear map of node features, `[N, width]` dense or `Sparse` to `[N, out]`."""

    def forward(self, input: Tensor | Sparse, *edges: Any) -> Tensor:
        if isinstance(input, Sparse):
            out = input @ self.weight.T
            return out if self.bias is None else out + self.bias
        return super().forward(input)


class GCN(pyg.GCNConv):
    """PyG's GCNConv with a normalised adjacency P that was computed once: P (x W) + b.

    Shapes: features `[N, width]`, dense or `Sparse`, and P `[N, N]` to `[N, out]`.
    """

    def forward(self, x: Tensor | Sparse, propagation: Sparse) -> Tensor:
        weight = self.lin.weight
        product = x @ weight.T if isinstance(x, Sparse) else F.linear(x, weight)
        out = propagation @ product
        return out if self.bias is None else out + self.bias


class Propagation(nn.Module):
    """P x, without weights: the branch of GCNII; P is the normalised adjacency `[N, N]`."""

    def forward(self, x: Tensor, propagation: Sparse) -> Tensor:
        return propagation @ x


class IdentityMapping(nn.Module):
    r"""GCNII's map of the stream after the write: act((1 - b) s + b s W), b = log(theta / l + 1).

    Source: Chen et al. 2020, arXiv:2007.02133, eq. 5; the start, uniform within 1 / sqrt(C) of 0,
        as in the authors' code.

    Args:
        width: channels C; W is `[C, C]`.
        layer: l, counted from 1.
        theta: strength; the paper's lambda.
    """

    def __init__(self, width: int, layer: int, theta: float):
        super().__init__()
        self.beta = math.log(theta / layer + 1)
        self.weight = nn.Parameter(torch.empty(width, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = len(self.weight) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        identity = torch.eye(len(self.weight), dtype=self.weight.dtype, device=x.device)
        return (x @ torch.lerp(identity, self.weight, self.beta)).relu_()


class InputDropout(nn.Module):
    """A convolution or linear map `core` that reads its input through dropout.

    Args:
        core: called with the features `[N, C]` and what belongs to the edges.
        p: share of the features that is set to zero in training.
    """

    def __init__(self, core: nn.Module, p: float):
        super().__init__()
        self.core = core
        self.p = p

    def forward(self, x: Tensor | Sparse, *edges: Any) -> Tensor:
        if isinstance(x, Sparse):
            return self.core(x.dropout(self.p, self.training), *edges)
        return self.core(dropout(x, self.p, self.training), *edges)


class SAGE(pyg.SAGEConv):
    """GraphSAGE (Hamilton et al. 2017, arXiv:1706.02216)."""

    ends = ("lin_l", "lin_r")  # the maps of the neighbours and of the node itself are summed


class GATv2(pyg.GATv2Conv):
    """GATv2 (Brody et al. 2021, arXiv:2105.14491)."""

    ends = ("lin_l",)  # the values; the other map only weighs them


def gin(width: int, out: int, bias: bool = True) -> nn.Module:
    """GIN (Xu et al. 2019, arXiv:1810.00826) with two layers, the last one with a bias or not."""
    last = nn.Linear(out, out, bias=bias)
    return pyg.GINConv(nn.Sequential(nn.Linear(width, out), nn.ReLU(), last))


def gen(width: int, out: int) -> nn.Module:
    """GENConv (Li et al. 2020, arXiv:2006.07739) with a learned softmax over the neighbours."""
    return pyg.GENConv(width, out, aggr="softmax", learn_t=True, norm="layer")


NODE_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
    "graph": pyg.GraphNorm,
    "pair": lambda width: pyg.PairNorm(),
}
