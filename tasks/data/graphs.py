"""Graphs with node labels: one embedded, two families of PyG, and a user's own."""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from tasks.data.graph import Graph
from zoo.errors import DataError
from zoo.init import generator


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
        where = f"csbm seed {self.seed}"
        return Graph(x, edge_index, y, train, val, test, where).checked()


def native(array: np.ndarray) -> np.ndarray:
    """The array in this machine's byte order, in one piece."""
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))


def cache_folder(*parts: str) -> Path:
    """Where downloaded data is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "residual-zoo", *parts)


def pyg_graph(
    make: Callable[[str], Any], path: str | None, inside: str, splits: str, split: int
) -> Graph:
    """A graph of one of PyG's own loaders.

    A user's folder gives its raw files only: PyG's processed files are pickles, so they are
    written and read in a temporary folder of this process.
    """
    if path is not None:
        raw = Path(path) / inside / "raw"
        needed = ["out1_node_feature_label.txt", "out1_graph_edges.txt"]
        needed += [f"{splits}_split_0.6_0.2_{i}.npz" for i in range(10)]
        for name in needed:
            if not (raw / name).is_file():
                raise DataError("no raw files", str(raw / name), f"put all {len(needed)} there")
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
    train, val, test = (mask[:, split].nonzero().flatten() for mask in masks)
    where = path or str(cache_folder("pyg"))
    return Graph(data.x.float(), data.edge_index, data.y, train, val, test, where).checked()


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

        return pyg_graph(
            lambda root: Loader(root, self.name), self.path, self.name, self.name, self.split
        )


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
            lambda root: Loader(str(Path(root) / inside)), self.path, inside, "film", self.split
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
            with open(self.path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                missing = [key for key in keys if key not in file]
                if missing:
                    lost = f"the arrays {', '.join(missing)} are missing"
                    raise DataError(lost, self.path, f"save {', '.join(keys)}")
                arrays = {key: file[key] for key in keys}
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            reason = f"cannot be read ({type(error).__name__}: {error})"
            raise DataError(reason, self.path, "write it by numpy.savez") from None
        for key, kinds in {"x": "biuf", "edge_index": "iu", "y": "iu"}.items():
            if arrays[key].dtype.kind not in kinds:
                raise DataError(f"{key} is {arrays[key].dtype}", self.path, "save it as numbers")
        x, edges, y = (torch.from_numpy(native(arrays[key])) for key in keys[:3])
        train, val, test = (self.nodes(key, arrays[key], len(x)) for key in keys[3:])
        where = self.path
        return Graph(x.float(), edges.long(), y.long(), train, val, test, where).checked()

    def nodes(self, key: str, part: np.ndarray, count: int) -> Tensor:
        """Node numbers of a part that is given as numbers or as a mask."""
        if part.dtype == bool and part.shape == (count,):
            return torch.from_numpy(np.flatnonzero(part))
        if part.dtype.kind in "iu" and part.ndim == 1:
            return torch.from_numpy(part.astype(np.int64))
        what = f"{key} is {part.dtype} of shape {[*part.shape]}"
        raise DataError(what, self.path, f"give node numbers or a mask of shape [{count}]")
