"""Node classification on one graph."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from annotated_types import Ge, Lt
from torch import Tensor
from torch_geometric.utils import remove_self_loops, to_undirected

from tasks.data.graphs.dataset import Graph
from tasks.training.module import MakeModel, Task, Totals
from tasks.training.optim import Optimizer
from tasks.training.outcomes import Outcomes
from tasks.training.two_parts import InTwoParts
from zoo.models.layers.sparse import Sparse
from zoo.models.layers.sparse_form import product_form
from zoo.probes.profiles import dirichlet_energy
from zoo.seeding import generator
from zoo.shard import WHOLE, Shard, set_shard

log = logging.getLogger("zoo")
FORM = "sparse_product"  # what a run chooses


class Repeat:
    """Gives the same batch a number of times."""

    def __init__(self, batch: Any, times: int):
        self.batch = batch
        self.times = times

    def __len__(self) -> int:
        return self.times

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.times):
            yield self.batch


class NodeClassification(InTwoParts, Task):
    """Full-batch node classification: every step sees the whole graph.

    With several processes each one takes every n-th training node; the losses are weighted so
    that the averaged gradient is that of one process.

    Args:
        make_model: the model's class with its options.
        data: the graph.
        optimizer: options of the optimiser.
        seed: of the edges that are dropped.
        drop_edge: share of the edges that each training step leaves out; the rest is normalised
            again (DropEdge, Rong et al. 2020, arXiv:1907.10903).
    """

    data_type = Graph
    example_model_args: ClassVar[dict[str, Any]] = {"features": 8, "classes": 2}
    primary = ("accuracy", True)
    asks = ("stem", "body", "prepare", "takes_sparse")
    verbs: ClassVar[dict[str, str]] = {"predict": "tasks.gnn.predict.PredictNodes"}
    trained = "tasks.gnn.trained.TrainedNodes"

    def __init__(
        self,
        make_model: MakeModel,
        data: Graph,
        optimizer: Optimizer,
        seed: int,
        drop_edge: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ):
        super().__init__(make_model, data, optimizer, seed)
        self.drop_edge = drop_edge
        self.x: Any = None
        self.edges: list[Any] = []
        self.shapes_vary = "task.drop_edge" if drop_edge else ""
        self.generators["edges"] = generator(seed, "edges")

    def model_args(self, data: Graph) -> dict[str, Any]:
        """Gives the numbers of features and classes."""
        return {"features": data.x.shape[1], "classes": data.classes}

    def batches_per_pass(self) -> int:
        """Gives 1: a batch is the whole graph."""
        return 1

    def setup(self, stage: str) -> None:
        """Brings features `[N, F]`, edges and labels `[N]` to the device, once."""
        x, *edges = self.model_inputs(self.data.x, self.data.edge_index)
        sparse = [each for each in edges if isinstance(each, Sparse)]
        if sparse and FORM not in self.chosen:
            widths = [connection.site.width for connection in self.model.body.sites]
            self.chosen[FORM] = product_form(sparse[0], max(widths, default=self.data.classes))
            if self.device.type != "cpu":  # where it is measured
                log.info("sparse products: %s", self.chosen[FORM])
        self.x, *self.edges = self.in_form(x, *edges)
        self.y = self.data.y.to(self.device)

    def in_form(self, *inputs: Any) -> list[Any]:
        """Gives inputs of the model, sparse ones in the form that was chosen."""
        form: Any = self.chosen.get(FORM)
        return [x.taking(form) if form and isinstance(x, Sparse) else x for x in inputs]

    def recall(self, record: dict[str, Any]) -> None:
        """Takes the form of a run's sparse products; runs that note none had `csr`."""
        self.chosen = dict(record.get("chosen", {FORM: "csr"}))
        self.x, *self.edges = self.in_form(self.x, *self.edges)

    def model_inputs(self, x: Tensor, edge_index: Tensor) -> tuple[Any, ...]:
        """Gives what the model takes of features `[N, F]` and edges `[2, E]`, on the device."""
        sparse = self.model.takes_sparse and x.count_nonzero() < 0.1 * x.numel()
        edges = self.model.prepare(edge_index, len(x))
        inputs = (Sparse.of_dense(x) if sparse else x, *edges)
        return tuple(each.to(self.device) for each in inputs)

    def nodes(self, part: str) -> Tensor:
        """Gives the numbers `[n]` long of the nodes of a part."""
        return self.data.parts[part].to(self.device)

    def loader(self, part: str) -> Iterable[Tensor]:
        """Gives the numbers `[n]` long of all nodes of a part, once."""
        return Repeat(self.nodes(part), 1)

    def train_loader(self, number: int = 0) -> Iterable[tuple[Tensor, float]]:
        """Gives the numbers `[n]` long of all training nodes and their weight, without end."""
        nodes = self.nodes("train")
        return itertools.repeat((nodes, 1 / len(nodes)))

    def dropped_edges(self) -> list[Any]:
        """Draws the edges that one training step sees, in the form that the model takes."""
        if not self.drop_edge:
            return self.edges
        edge_index = self.data.edge_index
        kept = torch.rand(edge_index.shape[1], generator=self.generators["edges"]) >= self.drop_edge
        edges = self.model.prepare(edge_index[:, kept], len(self.data.y))
        return self.in_form(*(edge.to(self.device, non_blocking=True) for edge in edges))

    def prepared(self, batch: tuple[Tensor, float], shard: Shard = WHOLE) -> tuple[Any, ...]:
        """Gives this process's nodes, the weight of their losses, and the edges that are seen.

        Args:
            batch: numbers of all training nodes, `[n]` long, and their weight.
            shard: which of them are this process's.
        """
        every, weight = batch
        set_shard(WHOLE)  # every process computes the whole graph
        nodes = every[shard.rank :: shard.world]
        return nodes, shard.world * weight, *self.dropped_edges()

    def loss_of(self, nodes: Tensor, weight: float, *edges: Any) -> Tensor:
        """Computes the weighted cross-entropy `[]` of what `prepared` gives."""
        logits = self.model(self.x, *edges)[nodes].float()
        return F.cross_entropy(logits, self.y[nodes], reduction="sum") * weight

    def outcomes(self, batch: Tensor) -> Outcomes:
        """Gives nodes, `[n]` long, and whether each is classified right, `[n]` bool."""
        right = self.model(self.x, *self.edges)[batch].argmax(1) == self.y[batch]
        return Outcomes(batch, right)

    def eval_prepared(self, batch: Tensor) -> tuple[Tensor]:
        """Gives nodes `[n]` long on the device."""
        return (batch.to(self.device, non_blocking=True),)

    def sums_of(self, nodes: Tensor) -> Totals:
        """Sums loss, hits and count, `[]` each, over nodes `[n]` long."""
        logits, y = self.model(self.x, *self.edges)[nodes].float(), self.y[nodes]
        return {
            "loss": F.cross_entropy(logits, y, reduction="sum"),
            "accuracy": (logits.argmax(1) == y).sum(),
            "count": torch.full((), len(nodes), device=self.device),
        }

    def chance_metrics(self) -> dict[str, float]:
        """Gives the accuracy of always answering the most frequent class of the training part."""
        guess = self.data.y[self.data.train].mode().values
        hits = {part: self.data.y[self.data.parts[part]] == guess for part in ("val", "test")}
        return {f"{part}/accuracy": of.double().mean().item() for part, of in hits.items()}

    def depth_profiles(self) -> dict[str, list[float]]:
        """Gives the normalised Dirichlet energy of the stream, edges taken in both directions."""
        model = self.model
        values = model.body.values(model.stem(self.x, *self.edges).relu(), *self.edges)
        _, energy = self.collapse_measure()
        return {"dirichlet_energy": [energy(value).item() for value in values]}

    def collapse_measure(self, batch: Any = None) -> tuple[str, Callable[[Tensor], Tensor]]:
        """Gives the normalised Dirichlet energy of nodes `[N, C]`, over all edges."""
        edge_index = to_undirected(remove_self_loops(self.data.edge_index)[0]).to(self.device)
        return "dirichlet_energy", lambda value: dirichlet_energy(value, edge_index)
