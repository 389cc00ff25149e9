"""Graphs with the ten splits of Geom-GCN, through PyG's own loaders."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from tasks.data.cache import cache_folder
from tasks.data.graphs.dataset import Graph
from tasks.data.raw import downloaded, verified
from zoo.errors import DataError


def pyg_graph(
    make: Callable[[str], Any], name: str, path: str | None, inside: str, splits: str, split: int
) -> Graph:
    """The graph that one of PyG's loaders makes of raw files.

    PyG's processed files are pickles, so they are written and read in a temporary folder of this
    process.

    Args:
        make: calls the loader with a root folder.
        name: of the data set.
        path: the user's root folder; None: the raw files are downloaded.
        inside: the folder inside the root in which PyG looks for `raw`.
        splits: the first word of the names of the files with splits.
        split: number of the split.

    Errors:
        DataError: a raw file is missing, damaged or cannot be read.
    """
    if path is None:
        raw = downloaded(cache_folder("pyg", name, "raw"), name)
    else:
        raw = Path(path) / inside / "raw"
        needed = ["out1_node_feature_label.txt", "out1_graph_edges.txt"]
        needed += [f"{splits}_split_0.6_0.2_{i}.npz" for i in range(10)]
        for file in needed:
            if not (raw / file).is_file():
                raise DataError("no raw files", str(raw / file), f"put all {len(needed)} there")
        verified(raw, name)
    with (
        tempfile.TemporaryDirectory() as scratch,
        warnings.catch_warnings(),
        redirect_stderr(io.StringIO()),  # PyG names what it processes
    ):
        warnings.simplefilter("ignore")
        root = Path(scratch)
        (root / inside).mkdir(parents=True, exist_ok=True)
        (root / inside / "raw").symlink_to(raw.resolve())
        try:
            data = make(scratch)[0]
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:200]
            raise DataError(f"cannot load ({reason})", str(raw), "check the raw files") from error
    masks = (data.train_mask, data.val_mask, data.test_mask)
    train, val, test = (mask[:, split].nonzero().flatten() for mask in masks)
    where = path or str(raw.parent)
    return Graph(data.x.float(), data.edge_index, data.y, train, val, test, where).checked()


class WebKB:
    """Web pages of one university (Pei et al. 2020, arXiv:2002.05287), ten fixed splits.

    Args:
        name: which university.
        path: folder with `NAME/raw`; None: downloaded.
        split: number of the split.
    """

    def __init__(
        self,
        name: Literal["cornell", "texas", "wisconsin"] = "texas",
        path: str | None = None,
        split: Annotated[int, Ge(0), Le(9)] = 0,
    ):
        self.name, self.path, self.split = name, path, split

    def load(self) -> Graph:
        """Reads the graph, downloading its raw files first if need be."""
        from torch_geometric.datasets import WebKB as Loader

        def make(root: str) -> Any:
            return Loader(root, self.name)

        return pyg_graph(make, self.name, self.path, self.name, self.name, self.split)


class Actor:
    """Film actors who share a page (Pei et al. 2020, arXiv:2002.05287), ten fixed splits.

    Args:
        path: folder with `raw`; None: downloaded.
        split: number of the split.
    """

    def __init__(self, path: str | None = None, split: Annotated[int, Ge(0), Le(9)] = 0):
        self.path, self.split = path, split

    def load(self) -> Graph:
        """Reads the graph, downloading its raw files first if need be."""
        from torch_geometric.datasets import Actor as Loader

        return pyg_graph(Loader, "actor", self.path, "", "film", self.split)
