"""Large graphs of the Open Graph Benchmark, from their raw files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tasks.data.cache import cache_folder
from tasks.data.graphs.dataset import Graph
from tasks.data.prepared_files import prepared_once, read_record, write_record
from tasks.data.remembered import contents_of
from zoo.errors import DataError
from zoo.system.atomic import atomic_write
from zoo.system.console import say

SPLIT = {"arxiv": "time", "products": "sales_ranking"}  # the benchmark's own
PARTS = {"train": "train", "val": "valid", "test": "test"}
RAW = ("edge", "node-feat", "node-label")
FEATURES, REST = "features.bin", "rest.bin"
ROWS = 2**14  # that are parsed at once
FIX = "copy it again"


class OGBN:
    """Citations of papers (169,343 nodes, 40 classes) or products bought together (2,449,029, 47).

    The raw files are parsed once; then features are mapped from a file of the cache. Edges are
    listed in both directions, each pair once.

    Source: Hu et al. 2020, Open Graph Benchmark, arXiv:2005.00687, with its split.

    Args:
        name: `arxiv` or `products`.
        path: the unpacked archive: a folder with `raw/edge.csv.gz`, `raw/node-feat.csv.gz`,
            `raw/node-label.csv.gz` and `split/NAME/train.csv.gz`, `valid.csv.gz`, `test.csv.gz`;
            the name of the split is `time` or `sales_ranking`.

    Errors:
        ValueError: no path.
        DataError: a file is missing or damaged, or they do not fit together.
    """

    def __init__(self, name: Literal["arxiv", "products"] = "arxiv", path: str | None = None):
        if path is None:
            archive = f"http://snap.stanford.edu/ogb/data/nodeproppred/{name}.zip"
            raise ValueError(f"data=ogbn needs data.path=FOLDER with what {archive} unpacks to")
        self.name, self.path = name, path

    def files(self) -> dict[str, Path]:
        """The raw files by what they hold; DataError where one is missing."""
        root = Path(self.path)
        split = root / "split" / SPLIT[self.name]
        files = {name: root / "raw" / f"{name}.csv.gz" for name in RAW}
        files |= {part: split / f"{word}.csv.gz" for part, word in PARTS.items()}
        for path in files.values():
            if not path.is_file():
                fix = "data.path is the folder that holds raw and split"
                raise DataError("the file is missing", str(path), fix)
        return files

    def load(self) -> Graph:
        """Maps the graph, after parsing its raw files if that was not done before."""
        files, where = self.files(), str(self.path)
        folder = cache_folder("ogbn", contents_of([*files.values()])[:24])

        def find() -> Graph | None:
            about = read_record(folder)
            if about is None:
                return None
            graph = mapped(folder, about["shape"], where)
            graph.known_digest = about["sha256"]
            return graph

        def prepare() -> None:
            say(f"{where}: raw files are parsed once, into {folder}")
            shape = parse(folder, files, where)
            digest = mapped(folder, shape, where).checked().digest()
            write_record(folder, [FEATURES, REST], {"shape": shape, "sha256": digest})

        return prepared_once(folder, find, prepare)


def mapped(folder: Path, shape: Sequence[int], where: str) -> Graph:
    """The graph whose numbers lie in two files of a folder.

    Args:
        folder: of the cache.
        shape: rows and columns of the features, then the numbers of edges, labels and parts.
        where: for messages.
    """
    nodes, width, *rest = shape

    def numbers(name: str, size: int, kind: torch.dtype) -> Tensor:
        return torch.from_file(str(folder / name), shared=False, size=size, dtype=kind)

    x = numbers(FEATURES, nodes * width, torch.float32).view(nodes, width)
    edges, y, train, val, test = numbers(REST, sum(rest), torch.long).split(rest)
    return Graph(x, edges.view(2, -1), y, train, val, test, where)


def parse(folder: Path, files: dict[str, Path], where: str) -> list[int]:
    """Writes the numbers of raw files into two of a folder; returns the shape that `mapped` takes.

    Features are never in memory as a whole.

    Args:
        folder: of the cache.
        files: by what they hold.
        where: for messages.
    """
    edges, y, *parts = (whole(files[key], int) for key in ("edge", "node-label", *PARTS))
    widths = [each.shape[1] for each in (edges, y, *parts)]
    if widths != [2, 1, 1, 1, 1]:
        what = f"edges, labels and parts have {widths} columns"
        raise DataError(what, where, "give 2 for edges, and 1 for each of the others")
    shape = [0, 0]

    def write(file: Any) -> None:
        shape[0] = 0
        for block in blocks(files["node-feat"], np.float32):
            shape[:] = shape[0] + len(block), block.shape[1]
            file.write(block.tobytes())

    atomic_write(folder / FEATURES, write)
    if shape[0] != len(y):
        raise DataError(f"{len(y)} labels for {shape[0]} rows of features", where, FIX)
    tensors = [both_ways(edges, len(y)), *(torch.from_numpy(each[:, 0]) for each in (y, *parts))]
    atomic_write(folder / REST, b"".join(each.numpy().tobytes() for each in tensors))
    return [*shape, *(each.numel() for each in tensors)]


def both_ways(edges: np.ndarray, nodes: int) -> Tensor:
    """Edges `[2, E]` long in both directions, sorted, each once.

    Args:
        edges: `[e, 2]`, from source to target.
        nodes: N; what lies outside is left for the check of the graph.
    """
    ends = np.concatenate([edges, edges[:, ::-1]])
    if edges.size and (edges.min() < 0 or edges.max() >= nodes):
        return torch.from_numpy(np.ascontiguousarray(ends.T))
    pairs = np.unique(ends[:, 0] * nodes + ends[:, 1])
    return torch.from_numpy(np.stack([pairs // nodes, pairs % nodes]))


def whole(path: Path, kind: type) -> np.ndarray:
    """The numbers of a file, `[rows, columns]` long."""
    return np.concatenate([*blocks(path, kind)])


def blocks(path: Path, kind: type) -> Iterator[np.ndarray]:
    """The rows of a compressed table, some at a time; DataError where it has none or is damaged."""
    width = 0
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            while len(block := rows_of(file, kind)):
                width = width or block.shape[1]
                if block.shape[1] != width:
                    raise ValueError(f"rows of {width} and of {block.shape[1]} numbers")
                yield block
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise DataError(f"cannot be read ({reason})", str(path), FIX) from None
    if not width:
        raise DataError("the file is empty", str(path), FIX)


def rows_of(file: Any, kind: type) -> np.ndarray:
    """The next rows of an open table."""
    lines = [line for _, line in zip(range(ROWS), file, strict=False)]
    if not lines:
        return np.empty((0, 0))
    return np.loadtxt(lines, dtype=kind, delimiter=",", ndmin=2)
