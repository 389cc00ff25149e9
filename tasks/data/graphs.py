"""Graphs with node labels: one embedded, two families of PyG, and a user's own."""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from zoo.errors import DataError
from zoo.init import generator


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

    def digest(self) -> str:
        """SHA-256 over all arrays."""
        digest = hashlib.sha256()
        for part in (self.x, self.edge_index, self.y, self.train, self.val, self.test):
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
        parts = {"train": self.train, "val": self.val, "test": self.test}
        count = torch.zeros(nodes, dtype=torch.long)
        for name, part in parts.items():
            demand(part.numel() > 0, f"the {name} part is empty", "give every part some nodes")
            inside = 0 <= int(part.min()) and int(part.max()) < nodes
            demand(inside, f"the {name} part names nodes outside 0 to {nodes - 1}", "correct it")
            count[part] += 1
            demand(
                part.unique().numel() == part.numel(), f"{name} repeats a node", "list it once"
            )
        shared = int((count > 1).sum())
        demand(not shared, f"{shared} nodes are in two parts", "make the parts disjoint")
        used = y[count > 0]
        demand(int(used.min()) >= 0, f"a label is {int(used.min())}", "number the classes from 0")
        demand(int(y.max()) < nodes, f"a label is {int(y.max())}", "number the classes from 0")
        return self


class CSBM:
    """Contextual stochastic block model: two classes, weak features, telling edges.

    Equation: P(edge) = (d +- s sqrt(d)) / N within (+) and between (-) classes;
        x_i = +-m u + noise, |u| = 1
    Source: Deshpande et al. 2018, arXiv:1807.09596, section 2.

    Args:
        nodes: N.
        features: F.
        degree: d, mean number of neighbours.
        signal: s, the paper's lambda.
        mean: m, distance of a class centre from the origin in units of the noise.
        train: number of training nodes.
        val: number of validation nodes; the rest is for the test.
        seed: of the graph.
    """

    def __init__(
        self,
        nodes: Annotated[int, Ge(10)] = 1000,
        features: Annotated[int, Ge(1)] = 64,
        degree: Annotated[float, Gt(0)] = 8.0,
        signal: Annotated[float, Ge(0)] = 2.4,
        mean: Annotated[float, Ge(0)] = 0.5,
        train: Annotated[int, Ge(1)] = 100,
        val: Annotated[int, Ge(1)] = 300,
        seed: Annotated[int, Ge(0)] = 0,
    ):
        if train + val >= nodes:
            raise ValueError(f"train={train} and val={val} leave no test nodes of {nodes}")
        if signal > degree**0.5:
            raise ValueError(f"signal={signal} is above the square root of degree={degree}")
        self.nodes, self.features, self.degree = nodes, features, degree
        self.signal, self.mean, self.train, self.val, self.seed = signal, mean, train, val, seed

    def load(self) -> Graph:
        draws = generator(self.seed, "csbm")
        y = torch.arange(self.nodes) % 2
        sign = 2.0 * y - 1
        spread = self.signal * self.degree**0.5
        chance = (self.degree + spread * sign[:, None] * sign) / self.nodes
        drawn = torch.rand(self.nodes, self.nodes, generator=draws) < chance
        upper = drawn.triu(1)
        edge_index = (upper | upper.T).nonzero().T.contiguous()
        axis = torch.randn(self.features, generator=draws)
        noise = torch.randn(self.nodes, self.features, generator=draws)
        x = self.mean * sign[:, None] * axis / axis.norm() + noise
        order = torch.randperm(self.nodes, generator=draws)
        train, val, test = order.tensor_split([self.train, self.train + self.val])
        return Graph(x, edge_index, y, train, val, test, f"csbm seed {self.seed}").checked()


def cache_folder(*parts: str) -> Path:
    """Where downloaded data is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "residual-zoo", *parts)


def pyg_graph(make: Callable[[str], Any], path: str | None, inside: str, split: int) -> Graph:
    """A graph of one of PyG's own loaders.

    A user's folder gives its raw files only: PyG's processed files are pickles, so they are
    written and read in a temporary folder of this process.
    """
    if path is not None and not (Path(path) / inside / "raw").is_dir():
        raise DataError("no raw files", str(Path(path) / inside / "raw"), "put them there")
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(scratch)
        if path is not None:
            (root / inside).mkdir(parents=True, exist_ok=True)
            (root / inside / "raw").symlink_to((Path(path) / inside / "raw").resolve())
        else:
            root = cache_folder("pyg")
        try:
            data = make(str(root))[0]
        except Exception as error:
            fix = "give the raw files by data.path=" if path is None else "check the raw files"
            reason = f"{type(error).__name__}: {error}"[:200]
            raise DataError(f"cannot load ({reason})", path or str(root), fix) from error
    masks = (data.train_mask, data.val_mask, data.test_mask)
    parts = [mask[:, split].nonzero().flatten() for mask in masks]
    where = path or str(cache_folder("pyg"))
    return Graph(data.x.float(), data.edge_index, data.y, *parts, where).checked()


class WebKB:
    """Web pages of one university (Pei et al. 2020, arXiv:2002.05287), ten fixed splits.

    Args:
        name: which university.
        path: folder with `NAME/raw`; None: downloaded.
        split: which of the ten splits.
    """

    def __init__(
        self,
        name: Literal["cornell", "texas", "wisconsin"] = "texas",
        path: str | None = None,
        split: Annotated[int, Ge(0), Le(9)] = 0,
    ):
        self.name, self.path, self.split = name, path, split

    def load(self) -> Graph:
        from torch_geometric.datasets import WebKB as Loader

        return pyg_graph(lambda root: Loader(root, self.name), self.path, self.name, self.split)


class Actor:
    """Film actors who share a page (Pei et al. 2020, arXiv:2002.05287), ten fixed splits.

    Args:
        path: folder with `raw`; None: downloaded.
        split: which of the ten splits.
    """

    def __init__(self, path: str | None = None, split: Annotated[int, Ge(0), Le(9)] = 0):
        self.path, self.split = path, split

    def load(self) -> Graph:
        from torch_geometric.datasets import Actor as Loader

        inside = "" if self.path is not None else "actor"
        return pyg_graph(
            lambda root: Loader(str(Path(root) / inside)), self.path, inside, self.split
        )


class Npz:
    """Your own graph: one `.npz` file with these arrays.

    `x` `[N, F]` float · `edge_index` `[2, E]` integer, source and target, both directions listed
    where the graph is undirected · `y` `[N]` integer classes from 0 · `train`, `val`, `test`
    boolean masks `[N]` or integer node numbers.

    Args:
        path: the file.
    """

    def __init__(self, path: str | None = None):
        if path is None:
            raise ValueError("data=npz needs data.path=FILE.npz")
        self.path = path

    def load(self) -> Graph:
        keys = ("x", "edge_index", "y", "train", "val", "test")
        try:
            with np.load(self.path, allow_pickle=False) as file:
                missing = [key for key in keys if key not in file]
                if missing:
                    arrays = f"the arrays {', '.join(missing)} are missing"
                    raise DataError(arrays, self.path, f"save {', '.join(keys)}")
                x, edge_index, y, *parts = (file[key] for key in keys)
        except (OSError, ValueError) as error:
            raise DataError(f"cannot be read ({error})", self.path, "write it by numpy.savez") from None
        for key, array in (("edge_index", edge_index), ("y", y)):
            if array.dtype.kind not in "iu":
                raise DataError(f"{key} is {array.dtype}", self.path, "save it as integers")
        nodes = [
            torch.from_numpy(np.flatnonzero(part) if part.dtype == bool else part).long()
            for part in parts
        ]
        tensors = (torch.from_numpy(np.ascontiguousarray(a)) for a in (x, edge_index, y))
        features, edges, labels = tensors
        return Graph(features.float(), edges.long(), labels.long(), *nodes, self.path).checked()
