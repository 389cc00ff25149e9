"""A trained classifier of nodes, called in Python."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from tasks.data.graphs.dataset import check_nodes
from tasks.gnn.edges import OfEdges
from tasks.gnn.predict import model_inputs, node_probabilities
from tasks.inference.restored import training_data
from tasks.inference.signature import Inputs, Signature, Sizes
from tasks.inference.trained_module import Trained
from zoo.errors import DataError


class TrainedNodes(Trained):
    """A classifier of nodes: called with a graph, it gives the probabilities of the classes."""

    hub_task = "graph-ml"
    example = "net(graph)  # probabilities [N, classes]; graph.x [N, F], graph.edge_index [2, E]"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.learned.data.class_names)

    def prepare(self, graph: Any = None) -> tuple[Any, ...]:
        """What the net takes of a graph: features, and edges as its convolutions read them.

        Args:
            graph: has `x` `[N, F]` and `edge_index` `[2, E]`; None: the run's own.
        """
        graph = training_data(self.learned, self.folder) if graph is None else graph
        for name in ("x", "edge_index"):
            if getattr(graph, name, None) is None:
                what = f"a {type(graph).__name__} has no {name}"
                raise DataError(what, "graph", "give x [N, F] and edge_index [2, E]")
        x, edges = torch.as_tensor(graph.x).float(), torch.as_tensor(graph.edge_index)
        check_nodes(x, edges, "graph")
        return model_inputs(self.learned, x, edges.long())

    def signature(self) -> Signature:
        features = self.learned.data.x.shape[1]

        def sizes(number: int) -> Sizes:
            return {"nodes": 8 * number, "edges": 24 * number + 1}

        def draw(sizes: Sizes, draws: torch.Generator) -> Inputs:
            nodes, edges = sizes["nodes"], sizes["edges"]
            x = torch.randn(nodes, features, generator=draws)
            return x, torch.randint(nodes, (2, edges), generator=draws)

        inputs = {"x": {0: "nodes"}, "edge_index": {1: "edges"}}
        about = {"classes": [*self.classes]}
        extremes = [{"nodes": 1, "edges": 1}, {"nodes": 5, "edges": 0}]
        return Signature(inputs, "logits", sizes, draw, about, extremes, OfEdges)

    @torch.no_grad()
    def forward(self, graph: Any = None) -> Tensor:
        """The probability of each class, `[N, classes]`."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
            return node_probabilities(self.learned, *self.prepare(graph))
