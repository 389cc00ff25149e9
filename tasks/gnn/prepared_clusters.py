"""The clusters of a large graph, found once and kept in the cache."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import torch
from torch import Tensor

from tasks.data.cache import cache_folder
from tasks.data.prepared_files import prepared_once, read_record, write_record
from tasks.gnn.clusters import clusters_of
from zoo import __version__
from zoo.system.atomic import atomic_write
from zoo.system.console import say

LARGE = 2**20  # edges above which dividing a graph takes long
FILE = "clusters.bin"


def prepared_clusters(edge_index: Tensor, nodes: int, clusters: int) -> Tensor:
    """What `clusters_of` gives; of a large graph one process finds it, once.

    Args:
        edge_index: `[2, E]` long.
        nodes: N.
        clusters: their number.

    Returns:
        `[N]` long.
    """
    if edge_index.shape[1] < LARGE:
        return clusters_of(edge_index, nodes, clusters)
    digest = hashlib.sha256(edge_index.contiguous().numpy().data)
    digest.update(repr((nodes, clusters, __version__, version("scipy"))).encode())
    folder = cache_folder("clusters", digest.hexdigest()[:24])

    def find() -> Tensor | None:
        if read_record(folder) is None:
            return None
        return torch.from_file(str(folder / FILE), shared=False, size=nodes, dtype=torch.long)

    def prepare() -> None:
        say(f"the graph is divided into {clusters} clusters once, in {folder}")
        found = clusters_of(edge_index, nodes, clusters)
        atomic_write(folder / FILE, found.numpy().tobytes())
        write_record(folder, [FILE], {})

    return prepared_once(folder, find, prepare)
