"""Your own graph, from an `.npz` file."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from tasks.data.graphs.dataset import Graph
from zoo.errors import DataError
from zoo.system.machine_memory import refuse_beyond_memory

LARGE, RATIO = 2**30, 200  # bytes, and times the file, that arrays may unpack to


def native(array: np.ndarray) -> np.ndarray:
    """The array, contiguous and in this machine's byte order."""
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))


def arrays_of(path: str, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of these names in an `.npz` file; DataError where it has not all of them."""
    if not os.path.isfile(path):
        what = "a folder is no file" if os.path.isdir(path) else "no such file"
        raise DataError(what, path, "give path=FILE.npz")
    try:
        refuse_inflated(path, unpacked_bytes(path, keys))
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            missing = [key for key in keys if key not in file]
            if missing:
                lost = f"the arrays {', '.join(missing)} are missing"
                raise DataError(lost, path, f"save {', '.join(keys)}")
            return {key: file[key] for key in keys}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = f"cannot be read ({type(error).__name__}: {error})"
        raise DataError(reason, path, "write it by numpy.savez") from None


def number_tensor(arrays: dict[str, np.ndarray], key: str, path: str) -> Tensor:
    """One of the arrays as a tensor of its shape; DataError unless it holds numbers.

    Only `x` may hold others than integers.
    """
    if arrays[key].dtype.kind not in {"x": "biuf"}.get(key, "iu"):
        raise DataError(f"{key} is {arrays[key].dtype}", path, "save it as numbers")
    return torch.from_numpy(native(arrays[key]))


def nodes_of(path: str) -> tuple[Tensor, Tensor]:
    """Features `[N, F]` float and edges `[2, E]` long of an `.npz` file that may hold more."""
    arrays = arrays_of(path, ("x", "edge_index"))
    x, edges = (number_tensor(arrays, key, path) for key in arrays)
    return x.float(), edges.long()


def class_numbers(y: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The sorted names of the classes, and the number of the class of each node.

    Args:
        y: `[N]` names; a node with an empty one has no class, and its number is -1.
    """
    names = [str(name) for name in np.unique(y) if name]
    number = {name: index for index, name in enumerate(names)}
    return tuple(names), np.array([number.get(str(name), -1) for name in y.flat]).reshape(y.shape)


def is_mask(part: np.ndarray) -> bool:
    """Whether integers can only be a mask of 0 and 1, for node numbers do not repeat."""
    return part.dtype.kind in "iu" and len(part) > 2 and bool(np.isin(part, (0, 1)).all())


def unpacked_bytes(path: str, keys: Sequence[str]) -> int:
    """The size of the arrays of an `.npz` file as their headers say it, without unpacking them."""
    total = 0
    with zipfile.ZipFile(path) as file:
        for key in {f"{key}.npy" for key in keys} & {*file.namelist()}:
            with file.open(key) as member:
                version = np.lib.format.read_magic(member)
                shape, _, dtype = read_header(member, version)
                total += math.prod(shape) * dtype.itemsize
    return total


def read_header(member: IO[bytes], version: tuple[int, int]) -> tuple[Any, bool, Any]:
    """The shape, order and type of an array.

    Args:
        member: the file of the array inside the `.npz` file, behind its magic number.
        version: of numpy's format.
    """
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)


def refuse_inflated(path: str, size: int) -> None:
    """Raises DataError for arrays beyond the memory, or far larger than a real file unpacks to.

    Args:
        path: of the file.
        size: bytes that its arrays unpack to.
    """
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
        """Reads the graph."""
        keys = ("x", "edge_index", "y", "train", "val", "test")
        arrays = arrays_of(self.path, keys)
        names: tuple[str, ...] = ()
        if arrays["y"].dtype.kind == "U":
            names, arrays["y"] = class_numbers(arrays["y"])
        x, edges, y = (number_tensor(arrays, key, self.path) for key in keys[:3])
        train, val, test = (self.nodes(key, arrays[key], len(x)) for key in keys[3:])
        x, edges, y = x.float(), edges.long(), y.long()
        return Graph(x, edges, y, train, val, test, self.path, names).checked()

    def nodes(self, key: str, part: np.ndarray, count: int) -> Tensor:
        """The numbers `[n]` long of the nodes of a part.

        Args:
            key: name of the part, for messages.
            part: its node numbers, or a mask.
            count: N, the nodes of the graph.
        """
        if part.shape == (count,) and (part.dtype == bool or is_mask(part)):
            return torch.from_numpy(np.flatnonzero(part))
        if part.dtype.kind in "iu" and part.ndim == 1:
            return torch.from_numpy(part.astype(np.int64))
        what = f"{key} is {part.dtype} of shape {[*part.shape]}"
        raise DataError(what, self.path, f"give node numbers or a mask of shape [{count}]")
