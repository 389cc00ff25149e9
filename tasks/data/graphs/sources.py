"""Graphs with node labels: one embedded, and a user's own."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO, Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from tasks.data.graphs.dataset import Graph
from zoo.config.sizes import Count, Width
from zoo.errors import DataError
from zoo.seeding import generator
from zoo.system.machine_memory import refuse_beyond_memory

LARGE, RATIO = 2**30, 200  # bytes, and times the file, that arrays may unpack to


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
        nodes: Annotated[int, Ge(10), Le(1_000_000)] = 1000,
        features: Width = 64,
        degree: Annotated[float, Gt(0)] = 8.0,
        signal: Annotated[float, Ge(0)] = 2.4,
        mean: Annotated[float, Ge(0)] = 0.5,
        train: Count = 100,
        val: Count = 300,
        seed: Annotated[int, Ge(0)] = 0,
    ):
        if train + val >= nodes:
            raise ValueError(f"train={train} and val={val} leave no test nodes of {nodes}")
        if signal > degree**0.5:
            raise ValueError(f"signal={signal} is above the square root of degree={degree}")
        self.nodes, self.features, self.degree = nodes, features, degree
        self.signal, self.mean, self.train, self.val, self.seed = signal, mean, train, val, seed

    def load(self) -> Graph:
        pairs, entries = self.nodes**2, self.nodes * self.features
        refuse_beyond_memory(9 * pairs + 8 * entries, f"a graph of {self.nodes:,} nodes", "data")
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


def arrays_of(path: str, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays of an `.npz` file; DataError where it is none or one is missing."""
    if not os.path.isfile(path):
        what = "a folder is no file" if os.path.isdir(path) else "no such file"
        raise DataError(what, path, "give path=FILE.npz")
    try:
        refuse_inflated(path, unpacked(path, keys))
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            missing = [key for key in keys if key not in file]
            if missing:
                lost = f"the arrays {', '.join(missing)} are missing"
                raise DataError(lost, path, f"save {', '.join(keys)}")
            return {key: file[key] for key in keys}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = f"cannot be read ({type(error).__name__}: {error})"
        raise DataError(reason, path, "write it by numpy.savez") from None


def numbers(arrays: dict[str, np.ndarray], key: str, path: str) -> Tensor:
    """One of the arrays as a tensor; DataError where it holds none of the numbers it should."""
    if arrays[key].dtype.kind not in {"x": "biuf"}.get(key, "iu"):
        raise DataError(f"{key} is {arrays[key].dtype}", path, "save it as numbers")
    return torch.from_numpy(native(arrays[key]))


def nodes_of(path: str) -> tuple[Tensor, Tensor]:
    """Features `[N, F]` and edges `[2, E]` of an `.npz` file, whatever else it holds."""
    arrays = arrays_of(path, ("x", "edge_index"))
    x, edges = (numbers(arrays, key, path) for key in arrays)
    return x.float(), edges.long()


def numbered(y: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The sorted names of classes and the number of each node's; -1 for an empty name."""
    names = [str(name) for name in np.unique(y) if name]
    number = {name: index for index, name in enumerate(names)}
    return tuple(names), np.array([number.get(str(name), -1) for name in y.flat]).reshape(y.shape)


def is_mask(part: np.ndarray) -> bool:
    """Whether integers are 0 and 1 alone, both of them and more than once: no node numbers."""
    return part.dtype.kind in "iu" and len(part) > 2 and bool(np.isin(part, (0, 1)).all())


def unpacked(path: str, keys: Sequence[str]) -> int:
    """The bytes of arrays of a `.npz` file, as their headers say: nothing is unpacked."""
    total = 0
    with zipfile.ZipFile(path) as file:
        for key in {f"{key}.npy" for key in keys} & {*file.namelist()}:
            with file.open(key) as member:
                version = np.lib.format.read_magic(member)
                shape, _, dtype = read_header(member, version)
                total += math.prod(shape) * dtype.itemsize
    return total


def read_header(member: IO[bytes], version: tuple[int, int]) -> tuple[Any, bool, Any]:
    """Shape, order and type of an array whose format has a version."""
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)


def refuse_inflated(path: str, size: int) -> None:
    """DataError for arrays beyond the memory, or far larger than any real file would hold."""
    packed = os.path.getsize(path)
    what = f"{packed / 1e6:,.1f} MB that unpack to {size / 1e9:,.1f} GB"
    refuse_beyond_memory(size, what, path)
    if size > LARGE and size > RATIO * packed:
        raise DataError(what, path, "write it by numpy.savez, which packs nothing")


class Npz:
    """Your own graph: one `.npz` file with these arrays.

    `x` `[N, F]` float · `edge_index` `[2, E]` integer, source and target, both directions listed
    where the graph is undirected · `y` `[N]` integer classes from 0, or names of classes, empty for
    nodes without one · `train`, `val`, `test` masks `[N]` of true and false or of 1 and 0, or
    integer node numbers.

    Args:
        path: the file.
    """

    def __init__(self, path: str | None = None):
        if path is None:
            raise ValueError("data=npz needs data.path=FILE.npz")
        self.path = path

    def load(self) -> Graph:
        keys = ("x", "edge_index", "y", "train", "val", "test")
        arrays = arrays_of(self.path, keys)
        names: tuple[str, ...] = ()
        if arrays["y"].dtype.kind == "U":
            names, arrays["y"] = numbered(arrays["y"])
        x, edges, y = (numbers(arrays, key, self.path) for key in keys[:3])
        train, val, test = (self.nodes(key, arrays[key], len(x)) for key in keys[3:])
        x, edges, y = x.float(), edges.long(), y.long()
        return Graph(x, edges, y, train, val, test, self.path, names).checked()

    def nodes(self, key: str, part: np.ndarray, count: int) -> Tensor:
        """Node numbers of a part that is given as numbers or as a mask."""
        if part.shape == (count,) and (part.dtype == bool or is_mask(part)):
            return torch.from_numpy(np.flatnonzero(part))
        if part.dtype.kind in "iu" and part.ndim == 1:
            return torch.from_numpy(part.astype(np.int64))
        what = f"{key} is {part.dtype} of shape {[*part.shape]}"
        raise DataError(what, self.path, f"give node numbers or a mask of shape [{count}]")
