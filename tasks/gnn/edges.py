"""A graph net as a function of features and edges alone, for other programs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models.gnn import GNN


class Propagation:
    """A sparse matrix whose product is a sum over its entries, for programs without sparse ones.

    Args:
        edges: `[2, E]`, from source (column) to target (row).
        weight: `[E]`.
    """

    def __init__(self, edges: Tensor, weight: Tensor):
        self.edges, self.weight = edges, weight

    def __matmul__(self, dense: Tensor) -> Tensor:
        """The product, `[N, C]` to `[N, C]`."""
        source, target = self.edges
        entries = dense[source] * self.weight[:, None]
        return torch.zeros_like(dense).index_add(0, target, entries)


class OfEdges(nn.Module):
    """A graph net called with features `[N, F]` and edges `[2, E]`, which it prepares itself.

    In evaluation it prepares them as in training. While it is exported, loops and the weights of
    edges come from operations whose results do not depend on how many loops there are, and a
    sparse product is a sum over edges.

    Args:
        model: the net.
    """

    def __init__(self, model: GNN):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return self.model(x, self.exported(x, edge_index))
        return self.model(x, *self.model.prepare(edge_index, len(x)))

    def exported(self, x: Tensor, edge_index: Tensor) -> Tensor | Propagation:
        """What `GNN.prepare` gives, in operations that every format knows."""
        if self.model.kind not in ("gcn", "gcn2", "gatv2"):
            return edge_index
        loops = torch.arange(x.shape[0], device=x.device).expand(2, -1)
        kept = edge_index[0] != edge_index[1]
        if self.model.kind == "gatv2":
            return torch.cat([edge_index[:, kept], loops], 1)
        edges = torch.cat([edge_index, loops], 1)
        weight = torch.cat([kept.to(x.dtype), x.new_ones(x.shape[0])])
        degree = x.new_zeros(x.shape[0]).index_add(0, edges[1], weight)
        source, target = edges
        return Propagation(edges, degree.rsqrt()[source] * weight * degree.rsqrt()[target])
