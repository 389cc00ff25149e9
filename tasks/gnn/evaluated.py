"""A graph on the device of a run, its net, and what the net makes of all nodes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, ClassVar

from torch import Tensor

from tasks.data.batches import SequentialBatches
from tasks.data.graphs.dataset import Graph
from tasks.training.classification import class_sums, guess_metrics
from tasks.training.module import MakeModel, Task, Totals
from tasks.training.optim import Optimizer
from tasks.training.outcomes import Outcomes
from tasks.training.two_parts import InTwoParts
from zoo.models.layers.graph import Drawn
from zoo.models.layers.sparse import Sparse
from zoo.models.layers.sparse_form import product_form

log = logging.getLogger("zoo")
FORM = "sparse_product"  # what a run chooses


class GraphTask(InTwoParts, Task):
    """A graph and its evaluation: of all nodes at once, without gradients."""

    data_type = Graph
    example_model_args: ClassVar[dict[str, Any]] = {"features": 8, "classes": 2}
    primary = ("accuracy", True)
    asks = ("stem", "body", "prepare", "takes_sparse")
    trained = "tasks.gnn.trained.TrainedNodes"

    def __init__(self, make_model: MakeModel, data: Graph, optimizer: Optimizer, seed: int):
        super().__init__(make_model, data, optimizer, seed)
        self.x: Any = None  # features `[N, F]` of all nodes, on the device
        self.edges: list[Any] = []  # as the model takes them, likewise

    def model_args(self, data: Graph) -> dict[str, Any]:
        """Gives the numbers of features and classes."""
        return {"features": data.x.shape[1], "classes": data.classes}

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

    def model_inputs(
        self, x: Tensor, edge_index: Tensor, drawn: Drawn | None = None
    ) -> tuple[Any, ...]:
        """Gives what the model takes of features `[N, F]` and edges `[2, E]`, on the device.

        Args:
            x: features.
            edge_index: edges.
            drawn: what edges stand for that are drawn from more; None: they are all.
        """
        sparse = self.model.takes_sparse and x.count_nonzero() < 0.1 * x.numel()
        edges = self.model.prepare(edge_index, len(x), *([drawn] if drawn else []))
        inputs = (Sparse.of_dense(x) if sparse else x, *edges)
        return tuple(each.to(self.device, non_blocking=True) for each in inputs)

    def nodes(self, part: str) -> Tensor:
        """Gives the numbers `[n]` long of the nodes of a part."""
        return self.data.parts[part].to(self.device)

    def loader(self, part: str) -> Iterable[Tensor]:
        """Gives the numbers `[n]` long of all nodes of a part, once."""
        nodes = self.nodes(part)
        return SequentialBatches(nodes, len(nodes))

    def outcomes(self, batch: Tensor) -> Outcomes:
        """Gives nodes, `[n]` long, and whether each is classified right, `[n]` bool."""
        right = self.model(self.x, *self.edges)[batch].argmax(1) == self.y[batch]
        return Outcomes(batch, right)

    def eval_prepared(self, batch: Tensor) -> tuple[Tensor]:
        """Gives nodes `[n]` long on the device."""
        return (batch.to(self.device, non_blocking=True),)

    def sums_of(self, nodes: Tensor) -> Totals:
        """Sums loss, hits and count, `[]` each, over nodes `[n]` long."""
        return class_sums(self.model(self.x, *self.edges)[nodes].float(), self.y[nodes])

    def chance_metrics(self) -> dict[str, float]:
        """Gives the accuracy of always answering the most frequent class of the training part."""
        return guess_metrics(self.data.y, self.data.parts)
