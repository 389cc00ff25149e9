"""Node classification on one graph."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from annotated_types import Ge, Lt
from torch import Tensor
from torch_geometric.utils import remove_self_loops, to_undirected

from tasks.data.graphs.dataset import Graph
from tasks.gnn.evaluated import GraphTask
from tasks.gnn.parts import Part, Parts
from tasks.gnn.sampling import Most, Sampling, clusters_for, neighbors_for
from tasks.training.module import MakeModel
from tasks.training.optim import Optimizer
from zoo.config.options import Needs
from zoo.config.sizes import Batch, Count
from zoo.probes.profiles import dirichlet_energy
from zoo.seeding import generator
from zoo.shard import WHOLE, Shard, set_shard


class NodeClassification(GraphTask):
    """Node classification: a step sees the whole graph or a part of it.

    With several processes each one takes every n-th training node of a step; the losses are
    weighted so that the averaged gradient is that of one process.

    Args:
        make_model: the model's class with its options.
        data: the graph.
        optimizer: options of the optimiser.
        seed: of the edges that are dropped, and of the parts that steps see.
        drop_edge: share of the edges that each training step leaves out; the rest is normalised
            again (DropEdge, Rong et al. 2020, arXiv:1907.10903).
        sampling: what a step sees: the whole graph (`none`), some `clusters` with all edges among
            their nodes (Cluster-GCN), or training nodes with drawn `neighbors` (GraphSAGE).
        clusters: into which the graph is divided.
        neighbors: drawn for each node at most; a list says how many at each distance from the
            training nodes, one number for each convolution; -1: all.
        batch_size: clusters or training nodes of a step over all processes; None: 1 or 1024.

    Errors:
        ValueError: dropped edges beside drawn ones.
    """

    undivided = "the nodes of a step"
    verbs: ClassVar[dict[str, str]] = {"predict": "tasks.gnn.predict.PredictNodes"}
    counts_with: ClassVar[Needs] = {
        "clusters": (("task.sampling", ("clusters",)),),
        "neighbors": (("task.sampling", ("neighbors",)),),
        "batch_size": (("task.sampling", ("clusters", "neighbors")),),
    }

    def __init__(
        self,
        make_model: MakeModel,
        data: Graph,
        optimizer: Optimizer,
        seed: int,
        drop_edge: Annotated[float, Ge(0), Lt(1)] = 0.0,
        sampling: Sampling = "none",
        clusters: Count = 32,
        neighbors: Most | list[Most] = 10,
        batch_size: Batch | None = None,
    ):
        super().__init__(make_model, data, optimizer, seed)
        if sampling == "neighbors" and drop_edge:
            raise ValueError("sampling=neighbors leaves edges out by itself: drop_edge=0")
        self.drop_edge, self.sampling = drop_edge, sampling
        self.clusters, self.neighbors, self.at_once = clusters, neighbors, batch_size
        self.shapes_vary = "task.drop_edge" if drop_edge else ""
        if sampling != "none":
            self.shapes_vary = "task.sampling"
        self.generators["edges"] = generator(seed, "edges")

    @functools.cached_property
    def parts(self) -> Parts | None:
        """The parts of the graph that steps see; None: they see it all."""
        if self.sampling == "clusters":
            return clusters_for(self.data, self.clusters, self.at_once, self.seed)
        if self.sampling == "neighbors":
            return neighbors_for(self.data, self.model, self.neighbors, self.at_once, self.seed)
        return None

    def batches_per_pass(self) -> int:
        """Counts the steps in which every training node or cluster comes once: 1 of all nodes."""
        return self.parts.batches(0).per_pass if self.parts else 1

    def train_loader(self, number: int = 0) -> Iterable[tuple[Any, Any]]:
        """Gives what stands for each step, without end.

        That is the numbers `[n]` long of all training nodes and their weight, or the number of the
        step and the clusters or training nodes `[B]` long that are chosen for it.
        """
        if self.parts:
            return self.parts.batches(number)
        nodes = self.nodes("train")
        return itertools.repeat((nodes, 1 / len(nodes)))

    def kept(self, edge_index: Tensor) -> Tensor:
        """Gives edges `[2, E]` without those that one training step leaves out."""
        if not self.drop_edge:
            return edge_index
        draws = self.generators["edges"]
        return edge_index[:, torch.rand(edge_index.shape[1], generator=draws) >= self.drop_edge]

    def dropped_edges(self) -> list[Any]:
        """Draws the edges that one training step sees, in the form that the model takes."""
        if not self.drop_edge:
            return self.edges
        edges = self.model.prepare(self.kept(self.data.edge_index), len(self.data.y))
        return self.in_form(*(edge.to(self.device, non_blocking=True) for edge in edges))

    def inputs_of(self, part: Part, edges: Tensor) -> list[Any]:
        """Gives what the model takes of a part with some of its edges, `[2, e]` long."""
        return self.in_form(*self.model_inputs(self.data.x[part.nodes], edges, part.drawn))

    def prepared(self, batch: tuple[Any, Any], shard: Shard = WHOLE) -> tuple[Any, ...]:
        """Gives labels and weight of this process's nodes, their rows, and what the model takes.

        Args:
            batch: of `train_loader`.
            shard: which of its training nodes are this process's.
        """
        set_shard(WHOLE)  # every process computes all nodes that the step sees
        mine = slice(shard.rank, None, shard.world)
        if self.parts is None:
            every, weight = batch
            nodes = every[mine]
            return self.y[nodes], shard.world * weight, nodes, self.x, *self.dropped_edges()
        part = self.parts.part(*batch)
        y, rows = (
            each[mine].to(self.device, non_blocking=True)
            for each in (self.data.y[part.trained], part.rows)
        )
        return (
            y,
            shard.world * (1 / len(part.trained)),
            rows,
            *self.inputs_of(part, self.kept(part.edges)),
        )

    def loss_of(self, y: Tensor, weight: float, rows: Tensor, x: Any, *edges: Any) -> Tensor:
        """Computes the weighted cross-entropy `[]` of what `prepared` gives."""
        logits = self.model(x, *edges)[rows].float()
        return F.cross_entropy(logits, y, reduction="sum") * weight

    def depth_profiles(self) -> dict[str, list[float]]:
        """Gives the normalised Dirichlet energy of the stream, edges taken in both directions.

        It is that of the whole graph, or of the part that the first step sees.
        """
        model, batch = self.model, next(iter(self.train_loader()))
        part = self.parts.part(*batch) if self.parts else None
        x, *edges = self.inputs_of(part, part.edges) if part else (self.x, *self.edges)
        values = model.body.values(model.stem(x, *edges).relu(), *edges)
        _, energy = self.collapse_measure(batch)
        return {"dirichlet_energy": [energy(value).item() for value in values]}

    def collapse_measure(self, batch: Any) -> tuple[str, Callable[[Tensor], Tensor]]:
        """Gives the normalised Dirichlet energy of the nodes `[N, C]` of a step, over its edges."""
        edges = self.parts.part(*batch).edges if self.parts else self.data.edge_index
        edge_index = to_undirected(remove_self_loops(edges)[0]).to(self.device)
        return "dirichlet_energy", lambda value: dirichlet_energy(value, edge_index)
