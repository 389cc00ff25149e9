"""Cora, CiteSeer and PubMed with the public split, from their raw files.

The raw files are pickles. They are read by an unpickler that knows arrays and sparse matrices and
nothing else, so that a file cannot run code.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from tasks.data.cache import cache_folder
from tasks.data.graphs.dataset import Graph
from tasks.data.raw import downloaded, verified
from zoo.errors import DataError

ENDINGS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
SPELLING = {"cora": "Cora", "citeseer": "CiteSeer", "pubmed": "PubMed"}
rebuild = np.empty(0).__reduce__()[0]  # how numpy unpickles an array
ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "defaultdict"): collections.defaultdict,
    ("builtins", "list"): list,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): rebuild,
    ("numpy._core.multiarray", "_reconstruct"): rebuild,
    ("scipy.sparse.csr", "csr_matrix"): scipy.sparse.csr_matrix,
    ("scipy.sparse._csr", "csr_matrix"): scipy.sparse.csr_matrix,
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, sparse matrices, lists and mappings; refuses every other name."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The class or function of a name; UnpicklingError for one that is not allowed."""
        module_name = {"__builtin__": "builtins"}.get(module_name, module_name)
        if (module_name, global_name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is not an array")
        return ALLOWED[module_name, global_name]


def read_raw(path: Path) -> Any:
    """The array, sparse matrix or mapping in one raw file; DataError where it cannot be read."""
    try:
        if path.name.endswith(".index"):
            return np.loadtxt(path, dtype=np.int64, ndmin=1)
        with path.open("rb") as file:
            return ArrayUnpickler(file, encoding="latin1").load()
    except FileNotFoundError:
        raise DataError("the file is missing", str(path), "copy all eight raw files") from None
    except Exception as error:  # a broken pickle can fail in many ways
        reason = f"{type(error).__name__}: {error}"[:200]
        raise DataError(f"cannot be read ({reason})", str(path), "copy the file again") from None


class Planetoid:
    """Citation networks (Yang et al. 2016, arXiv:1603.08861): 20 training nodes a class, 500 for
    validation, 1000 for the test. Features are divided by their row sums, as in the recipes.

    Args:
        name: `cora`, `citeseer` or `pubmed`.
        path: folder with the raw files `ind.NAME.*`, or with `NAME/raw`; None: downloaded.
    """

    def __init__(
        self, name: Literal["cora", "citeseer", "pubmed"] = "cora", path: str | None = None
    ):
        self.name = name
        self.path = path

    def folder(self) -> Path:
        """The folder of the raw files, which are downloaded first if need be."""
        if self.path is None:
            return downloaded(cache_folder("planetoid", SPELLING[self.name], "raw"), self.name)
        root = Path(self.path)
        candidates = [root, root / "raw", root / SPELLING[self.name] / "raw"]
        for folder in candidates:
            if (folder / f"ind.{self.name}.x").is_file():
                return verified(folder, self.name)
        layout = f"put ind.{self.name}.x and its seven companions there"
        raise DataError(f"no raw files of {self.name}", str(candidates[-1]), layout)

    def load(self) -> Graph:
        """Reads the graph of the raw files."""
        folder = self.folder()
        contents = {end: read_raw(folder / f"ind.{self.name}.{end}") for end in ENDINGS}
        try:
            return self.assemble(contents, str(folder))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"the raw files do not fit together ({error})", str(folder), "copy them again"
            ) from error

    def assemble(self, contents: dict[str, Any], where: str) -> Graph:
        """The graph of the contents of the raw files.

        Test rows go where the test index says; rows that no file gives stay zero.

        Args:
            contents: of each file by the end of its name.
            where: their folder, for messages.
        """
        index, rows = torch.from_numpy(contents["test.index"]), contents["allx"].shape[0]
        nodes = max(int(index.max()) + 1, rows + index.numel())
        x = torch.zeros(nodes, contents["allx"].shape[1])
        y = torch.zeros(nodes, dtype=torch.long)
        x[:rows] = dense(contents["allx"])
        y[:rows] = torch.from_numpy(np.asarray(contents["ally"])).argmax(1)
        x[index] = dense(contents["tx"])
        y[index] = torch.from_numpy(np.asarray(contents["ty"])).argmax(1)
        links = contents["graph"].items()
        pairs = {(s, t) for s, targets in links for t in targets if s != t}
        both = sorted(pairs | {(t, s) for s, t in pairs})
        edge_index = torch.tensor(both, dtype=torch.long).reshape(-1, 2).T.contiguous()
        train = torch.arange(contents["y"].shape[0])
        val = torch.arange(len(train), len(train) + 500)
        x = x / x.sum(1, keepdim=True).clamp(min=1)
        return Graph(x, edge_index, y, train, val, index.sort().values, where).checked()


def dense(matrix: Any) -> Tensor:
    """The sparse matrix as a dense tensor `[rows, columns]` float.

    Its indices are checked first, since a wrong one would write anywhere in memory.
    """
    matrix.check_format(full_check=True)
    return torch.from_numpy(matrix.toarray()).float()
