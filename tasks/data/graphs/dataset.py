"""A graph with node labels and a split, and what must hold of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasks.data.notes import untrained_classes
from tasks.data.phrases import counted, listed, named_classes, sized_parts
from zoo.errors import DataError, shown


@dataclass
class Graph:
    """One graph with labels and a split.

    Args:
        x: `[N, F]` float features.
        edge_index: `[2, E]` long, from source to target; both directions are listed where the
            graph is undirected.
        y: `[N]` long labels from 0.
        train: `[n]` long, the numbers of the training nodes; likewise `val` and `test`.
        where: the file or option that the graph comes from, for messages.
        names: of the classes; empty: they have none.
        known_digest: its digest, where that is known; empty: it is computed.
    """

    x: Tensor
    edge_index: Tensor
    y: Tensor
    train: Tensor
    val: Tensor
    test: Tensor
    where: str
    names: tuple[str, ...] = ()
    known_digest: str = ""

    def __post_init__(self) -> None:
        self.names = tuple(map(shown, self.names))

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(self.y.max()) + 1

    @property
    def parts(self) -> dict[str, Tensor]:
        """The numbers `[n]` long of the nodes of each part."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def notes(self) -> list[str]:
        """Notes of one line on what is odd in the data."""
        counts = {
            part: torch.bincount(self.y[nodes], minlength=self.classes)
            for part, nodes in self.parts.items()
        }
        return [*untrained_classes(counts, self.class_names)]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, or else their numbers."""
        return self.names or tuple(map(str, range(self.classes)))

    def summary(self) -> str:
        """One line on what was read: nodes, edges, parts and classes."""
        nodes, features = self.x.shape
        rest = nodes - sum(map(len, self.parts.values()))
        others = f", {rest:,} of no part" if rest else ""
        return (
            f"{self.where}: {counted(nodes, 'node')} with {counted(features, 'feature')}, "
            f"{counted(self.edge_index.shape[1], 'edge')}: "
            f"{sized_parts(self.parts)}{others}; {named_classes(self.class_names)}"
        )

    def metadata(self) -> dict[str, Any]:
        """What a trained model must know of the data: its features and classes, without a node."""
        return {"features": self.x.shape[1], "classes": self.class_names, "where": self.where}

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> Graph:
        """The graph of one node that has this metadata."""
        node, names = torch.zeros(1, dtype=torch.long), tuple(metadata["classes"])
        y = node + len(names) - 1
        x = torch.zeros(1, 1).expand(1, metadata["features"])  # in the memory of one value
        return cls(x, node.new_empty(2, 0), y, node, node, node, metadata["where"], names)

    def digest(self) -> str:
        """The SHA-256 of features, edges, labels and parts."""
        if self.known_digest:
            return self.known_digest
        digest = hashlib.sha256()
        for tensor in (self.x, self.edge_index, self.y, *self.parts.values()):
            digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def checked(self) -> Graph:
        """Returns itself; raises DataError for the first thing that is wrong."""

        def demand(holds: bool | Tensor, what: str, fix: str) -> None:
            if not holds:
                raise DataError(what, self.where, fix)

        check_nodes(self.x, self.edge_index, self.where)
        nodes, y = len(self.x), self.y
        demand(y.shape == (nodes,), f"y has shape {[*y.shape]}", f"give [{nodes}] labels")
        count = torch.zeros(nodes, dtype=torch.long)
        for name, part in self.parts.items():
            demand(part.numel() > 0, f"the {name} part is empty", "give every part some nodes")
            inside = int(part.min()) >= 0 and int(part.max()) < nodes
            demand(inside, f"the {name} part names nodes outside 0 to {nodes - 1}", "correct it")
            count[part] += 1
            demand(part.unique().numel() == part.numel(), f"{name} repeats a node", "list it once")
        shared = int((count > 1).sum())
        demand(not shared, f"two parts share {counted(shared, 'node')}", "make the parts disjoint")
        used = y[count > 0]
        demand(int(used.min()) >= 0, f"a label is {int(used.min())}", "number the classes from 0")
        top = int(y.max())
        demand(top < nodes, f"a label is {top}", "number the classes from 0")
        empty = [number for number in range(top) if not (y == number).any()]
        lost = f"no node has the label {listed(map(str, empty))}; labels run to {top}"
        demand(not empty, lost, f"number the classes from 0 to {top - len(empty)}, without gaps")
        return self


def check_nodes(x: Tensor, edge_index: Tensor, where: str) -> None:
    """Raises DataError for the first thing that is wrong with features and edges.

    Args:
        x: features, which should be `[N, F]` and finite.
        edge_index: edges, which should be `[2, E]` integers from 0 to N - 1.
        where: for messages.
    """

    def demand(holds: bool | Tensor, what: str, fix: str) -> None:
        if not holds:
            raise DataError(what, where, fix)

    edges, nodes = edge_index, x.shape[0] if x.ndim else 0
    demand(x.ndim == 2 and x.numel() > 0, f"x has shape {[*x.shape]}", "give [nodes, features]")
    demand(x.isfinite().all(), "x has NaN or infinite values", "clean the features")
    kind = f"edge_index is {edges.dtype}"
    demand(not edges.is_floating_point() and not edges.is_complex(), kind, "give whole numbers")
    shape = f"edge_index has shape {[*edges.shape]}"
    demand(edges.ndim == 2 and edges.shape[0] == 2, shape, "give [2, edges]")
    low, high = (int(edges.min()), int(edges.max())) if edges.numel() else (0, 0)
    span = f"edge_index runs from {low} to {high} with {nodes} nodes"
    demand(low >= 0 and high < nodes, span, f"number the nodes from 0 to {nodes - 1}")
