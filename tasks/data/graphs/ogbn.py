"""Large graphs of the Open Graph Benchmark, from their raw files."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tasks.data.cache import cache_folder, writable
from tasks.data.graphs.dataset import Graph
from zoo.errors import DataError
from zoo.system.atomic import atomic_write, remove_partial_files
from zoo.system.console import say
from zoo.system.one_writer import exclusive

SPLIT = {"arxiv": "time", "products": "sales_ranking"}  # the benchmark's own
PARTS = {"train": "train", "val": "valid", "test": "test"}
RAW = ("edge", "node-feat", "node-label")
FEATURES, REST, ABOUT = "features.bin", "rest.bin", "prepared.json"  # the last one appears last
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
        files = self.files()
        digest = hashlib.sha256()
        for path in files.values():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        folder = cache_folder("ogbn", digest.hexdigest()[:24])
        graph = mapped(folder, self.path)
        if graph is None:
            with exclusive(writable(folder)):
                graph = mapped(folder, self.path)  # another process may have parsed it meanwhile
                if graph is None:
                    graph = parsed(folder, files, self.path)
        return graph


def mapped(folder: Path, where: str) -> Graph | None:
    """The graph that lies in a folder of the cache; None where there is none, or it is damaged."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        graph = laid_out(folder, [int(size) for size in about["sizes"]], where)
        graph.known_digest = about["sha256"]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        say(f"{folder} is damaged; the raw files are parsed anew")
        return None
    return graph


def laid_out(folder: Path, sizes: Sequence[int], where: str) -> Graph:
    """The graph whose numbers lie in two files of a folder; ValueError for files of other sizes.

    Args:
        folder: of the cache.
        sizes: rows and columns of the features, then the numbers of edges, labels and parts.
        where: for messages.
    """
    nodes, width, *rest = sizes

    def numbers(name: str, size: int, kind: torch.dtype) -> Tensor:
        path = folder / name
        if path.stat().st_size != size * kind.itemsize:
            raise ValueError(f"{path} has {path.stat().st_size} bytes")
        return torch.from_file(str(path), shared=False, size=size, dtype=kind)

    x = numbers(FEATURES, nodes * width, torch.float32).view(nodes, width)
    edges, *others = numbers(REST, sum(rest), torch.long).split(rest)
    y, train, val, test = others
    return Graph(x, edges.view(2, -1), y, train, val, test, where)


def parsed(folder: Path, files: dict[str, Path], where: str) -> Graph:
    """The graph of raw files, which it leaves in a folder of the cache.

    Features are never in memory as a whole. Only this process writes there.

    Args:
        folder: of the cache.
        files: by what they hold.
        where: for messages.
    """
    say(f"{where}: raw files are parsed once, into {folder}")
    remove_partial_files(folder)
    (folder / ABOUT).unlink(missing_ok=True)
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
    sizes = [*shape, *(each.numel() for each in tensors)]
    graph = laid_out(folder, sizes, where).checked()
    graph.known_digest = graph.digest()
    about = {"sizes": sizes, "sha256": graph.known_digest}
    atomic_write(folder / ABOUT, json.dumps(about))
    return graph


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
