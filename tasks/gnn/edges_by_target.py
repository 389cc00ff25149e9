"""Edges of a graph, found by the node that they lead to."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.models.layers.sparse import begins


class EdgesByTarget:
    """The edges of a graph in an index by their targets.

    Args:
        edge_index: `[2, E]` long.
        nodes: N.
    """

    def __init__(self, edge_index: Tensor, nodes: int):
        self.source, self.target = edge_index
        self.order = self.target.argsort(stable=True)
        self.first = begins(self.target[self.order], nodes).long()
        self.degree = self.first.diff()

    def into(self, nodes: Tensor) -> Tensor:
        """The numbers `[m]` long of the edges into nodes `[n]` long, node by node."""
        degree = self.degree[nodes]
        skipped = self.first[nodes] - (degree.cumsum(0) - degree)
        return self.order[torch.arange(int(degree.sum())) + skipped.repeat_interleave(degree)]

    def among(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Edges `[2, m]` long with the places of their ends among sorted nodes.

        Args:
            nodes: `[n]` long, sorted; both ends of every edge are among them.
            edges: `[m]` long, their numbers.
        """
        ends = torch.stack([self.source[edges], self.target[edges]])
        return torch.searchsorted(nodes, ends)
