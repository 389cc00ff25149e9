"""A graph's nodes in clusters of about the same size, with as many edges inside as may be."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

from zoo.seeding import keyed_seed

ROUNDS = 12
SPARE = 1.1  # nodes of a cluster, times their mean


def clusters_of(edge_index: Tensor, nodes: int, clusters: int) -> Tensor:
    """The cluster `[N]` long of each node; the same ones for the same graph.

    Neighbours come near each other in an order of small bandwidth (Cuthill and McKee 1969), which
    is cut into equal pieces. Then nodes move, in rounds, to the cluster of most of their
    neighbours while it has room (Ugander and Backstrom 2013, Balanced Label Propagation).

    Args:
        edge_index: `[2, E]`; directions and loops do not count.
        nodes: N.
        clusters: their number, at most N.
    """
    if clusters == 1:
        return torch.zeros(nodes, dtype=torch.long)
    links = neighbours(edge_index, nodes)
    cluster = np.empty(nodes, dtype=np.int64)
    cluster[reverse_cuthill_mckee(links, symmetric_mode=True)] = (
        np.arange(nodes) * clusters // nodes
    )
    draws = np.random.default_rng(keyed_seed(0, "clusters"))
    room = int(np.ceil(SPARE * nodes / clusters))
    for _ in range(ROUNDS):
        movers, to = wishes(links, cluster, clusters, draws.random(nodes) < 0.5)
        order = np.argsort(to, kind="stable")  # of each cluster's guests the ones that gain most
        movers, to = movers[order], to[order]
        size = np.bincount(cluster, minlength=clusters)
        fits = np.arange(len(to)) - np.searchsorted(to, to) < (room - size)[to]
        cluster[movers[fits]] = to[fits]
    return torch.from_numpy(cluster)


def neighbours(edge_index: Tensor, nodes: int) -> scipy.sparse.csr_array:
    """The symmetric matrix `[N, N]` of ones between neighbours."""
    source, target = edge_index[:, edge_index[0] != edge_index[1]].numpy()
    ones = np.ones(len(source), dtype=np.float32)
    one_way = scipy.sparse.coo_array((ones, (source, target)), (nodes, nodes)).tocsr()
    links = scipy.sparse.csr_array(one_way + one_way.T)
    links.data[:] = 1
    return links


def wishes(
    links: scipy.sparse.csr_array, cluster: np.ndarray, clusters: int, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nodes that have more neighbours in another cluster than in theirs, and which that is.

    Args:
        links: of `neighbours`.
        cluster: `[N]` of each node.
        clusters: their number.
        asked: `[N]` bool; others stay, so that neighbours do not change places.

    Returns:
        `[m]` and `[m]`, those who gain most neighbours first.
    """
    nodes = len(cluster)
    member = scipy.sparse.csr_array(
        (np.ones(nodes, dtype=np.float32), cluster, np.arange(nodes + 1)), (nodes, clusters)
    )
    counts = (links @ member).tocoo()
    node, to = counts.coords
    here = np.zeros(nodes)
    at_home = to == cluster[node]
    here[node[at_home]] = counts.data[at_home]
    gain = counts.data - here[node]
    some = (gain > 0) & asked[node]
    node, to, gain = node[some], to[some], gain[some]
    order = np.lexsort((to, node, -gain))
    node, to = node[order], to[order]
    _, first = np.unique(node, return_index=True)
    first.sort()
    return node[first], to[first].astype(np.int64)
