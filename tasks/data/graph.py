"""A graph with node labels and a split, and what must hold of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import DataError


@dataclass
class Graph:
    """One graph with labels and a split.

    Args:
        x: `[N, F]` float features.
        edge_index: `[2, E]` long, from source to target; both directions are listed where the
            graph is undirected.
        y: `[N]` long labels from 0.
        train: `[n]` long node numbers; likewise `val` and `test`.
        where: the file or option that the graph comes from, for messages.
    """

    x: Tensor
    edge_index: Tensor
    y: Tensor
    train: Tensor
    val: Tensor
    test: Tensor
    where: str

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1

    @property
    def parts(self) -> dict[str, Tensor]:
        return {"train": self.train, "val": self.val, "test": self.test}

    def digest(self) -> str:
        """SHA-256 over all arrays."""
        digest = hashlib.sha256()
        for part in (self.x, self.edge_index, self.y, *self.parts.values()):
            digest.update(f"{tuple(part.shape)}{part.dtype}".encode())
            digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def checked(self) -> Graph:
        """Itself, or DataError for the first thing that is wrong."""

        def demand(holds: bool | Tensor, what: str, fix: str) -> None:
            if not holds:
                raise DataError(what, self.where, fix)

        nodes = self.x.shape[0] if self.x.ndim else 0
        x, y, edges = self.x, self.y, self.edge_index
        demand(x.ndim == 2 and x.numel() > 0, f"x has shape {[*x.shape]}", "give [nodes, features]")
        demand(x.isfinite().all(), "x has NaN or infinite values", "clean the features")
        demand(y.shape == (nodes,), f"y has shape {[*y.shape]}", f"give [{nodes}] labels")
        shape = f"edge_index has shape {[*edges.shape]}"
        demand(edges.ndim == 2 and edges.shape[0] == 2, shape, "give [2, edges]")
        low, high = (int(edges.min()), int(edges.max())) if edges.numel() else (0, 0)
        span = f"edge_index runs from {low} to {high} with {nodes} nodes"
        demand(low >= 0 and high < nodes, span, f"number the nodes from 0 to {nodes - 1}")
        count = torch.zeros(nodes, dtype=torch.long)
        for name, part in self.parts.items():
            demand(part.numel() > 0, f"the {name} part is empty", "give every part some nodes")
            inside = int(part.min()) >= 0 and int(part.max()) < nodes
            demand(inside, f"the {name} part names nodes outside 0 to {nodes - 1}", "correct it")
            count[part] += 1
            demand(part.unique().numel() == part.numel(), f"{name} repeats a node", "list it once")
        shared = int((count > 1).sum())
        demand(not shared, f"{shared} nodes are in two parts", "make the parts disjoint")
        used = y[count > 0]
        demand(int(used.min()) >= 0, f"a label is {int(used.min())}", "number the classes from 0")
        demand(int(y.max()) < nodes, f"a label is {int(y.max())}", "number the classes from 0")
        return self
