"""Parts of a graph on which training steps compute: clusters, or nodes with drawn neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tasks.data.batches import ShuffledBatches
from tasks.data.graphs.dataset import Graph
from tasks.gnn.edges_by_target import EdgesByTarget
from zoo.errors import ConfigError
from zoo.models.layers.graph import Drawn
from zoo.seeding import keyed_seed

GOLDEN = -0x61C8864680B583EB  # 2^64 over the golden ratio, as splitmix64 counts
MIXERS = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15))


@dataclass
class Part:
    """Some nodes of a graph, and edges among them.

    Args:
        nodes: `[n]` long, sorted, their numbers in the graph.
        edges: `[2, E]` long between them, each node by its place among them.
        trained: `[t]` long, the numbers in the graph of those whose losses count.
        drawn: of edges that are drawn from more: the degree `[n]` of each node in the graph, and
            for how many edges each one, `[E]`, stands.
    """

    nodes: Tensor
    edges: Tensor
    trained: Tensor
    drawn: Drawn | None = None

    @property
    def rows(self) -> Tensor:
        """The places `[t]` long of the trained nodes."""
        return torch.searchsorted(self.nodes, self.trained)


class Parts(Protocol):
    """Parts of a graph for every training step, each one following from seed and number alone."""

    def batches(self, number: int) -> ShuffledBatches:
        """The steps from a number on: it, and what is chosen for it, `[B]` long."""

    def part(self, number: int, chosen: Tensor) -> Part:
        """The part of the graph for a step, from what `batches` gives."""


class Clusters:
    """Clusters of nodes, some of which make a part with all edges between its nodes.

    Source: Chiang et al. 2019, Cluster-GCN, arXiv:1905.07953, section 3.2: edges between the
        clusters of a part are in it, and it is normalised by its own degrees.

    Args:
        data: the graph.
        cluster: `[N]` long, the cluster of each node.
        size: clusters of a part.
        seed: of the order; each pass is another one. Clusters without a training node are left out.
    """

    def __init__(self, data: Graph, cluster: Tensor, size: int, seed: int):
        self.train, self.cluster, self.size, self.seed = data.train, cluster, size, seed
        self.edges = EdgesByTarget(data.edge_index, len(data.y))
        self.taught = cluster[data.train].unique()
        if size > len(self.taught):
            what = f"a step of {size} clusters, and {len(self.taught)} have training nodes"
            raise ConfigError(what, "task.batch_size", f"give {len(self.taught)} or less")

    def batches(self, number: int) -> ShuffledBatches:
        return ShuffledBatches(self.taught, self.size, self.seed, number)

    def part(self, number: int, chosen: Tensor) -> Part:
        nodes = torch.isin(self.cluster, chosen).nonzero().flatten()
        into = self.edges.into(nodes).sort().values
        into = into[places(nodes, self.edges.source[into])[1]]
        trained = self.train[torch.isin(self.cluster[self.train], chosen)]
        return Part(nodes, self.edges.among(nodes, into), trained)


class Neighbors:
    """Training nodes with some of their neighbours, some neighbours of these, and so on.

    A node's neighbours are drawn once a step, without replacement, and do not depend on which other
    nodes are in it; their nodes are all in one part.

    Source: Hamilton et al. 2017, GraphSAGE, arXiv:1706.02216, algorithm 2, in the form of PyG's
        `NeighborLoader`.

    Args:
        data: the graph.
        hops: the most neighbours of a node at each distance from a training node; -1: all.
        size: training nodes of a part.
        seed: of the order and the draws.
        loops: whether a node may be drawn as its own neighbour.
    """

    def __init__(self, data: Graph, hops: Sequence[int], size: int, seed: int, loops: bool):
        self.train, self.hops, self.size, self.seed = data.train, hops, size, seed
        source, target = data.edge_index
        kept = data.edge_index if loops else data.edge_index[:, source != target]
        self.edges = EdgesByTarget(kept, len(data.y))
        if size > len(data.train):
            what = f"a step of {size} training nodes, and there are {len(data.train)}"
            raise ConfigError(what, "task.batch_size", f"give {len(data.train)} or less")

    def batches(self, number: int) -> ShuffledBatches:
        return ShuffledBatches(self.train, self.size, self.seed, number)

    def part(self, number: int, chosen: Tensor) -> Part:
        key = keyed_seed(self.seed, "neighbors", str(number))
        nodes = outer = chosen.sort().values
        edges, scales = [], []
        for most in self.hops:
            into, scale = self.draw(outer, most, key)
            edges.append(into)
            scales.append(scale)
            found = self.edges.source[into].unique()
            outer = found[~places(nodes, found)[1]]
            nodes = torch.cat([nodes, outer]).sort().values
        order = (every := torch.cat(edges)).argsort()
        drawn = self.edges.degree[nodes], torch.cat(scales)[order]
        return Part(nodes, self.edges.among(nodes, every[order]), chosen, drawn)

    def draw(self, nodes: Tensor, most: int, key: int) -> tuple[Tensor, Tensor]:
        """Edges into nodes, at most so many each, and for how many edges each one stands.

        Args:
            nodes: `[n]` long.
            most: edges into each; -1: all.
            key: of the draws.
        """
        degree = self.edges.degree[nodes]
        every = self.edges.into(nodes)
        if most < 0:
            return every, torch.ones(len(every))
        row = torch.arange(len(nodes)).repeat_interleave(degree)
        order = scrambled(every * GOLDEN + key).argsort()
        order = order[row[order].argsort(stable=True)]  # by node, in each in the order of the draws
        rank = torch.arange(len(every)) - (degree.cumsum(0) - degree)[row]
        scale = (degree / most).clamp(min=1)[row]
        return every[order][rank < most], scale[rank < most]


def places(nodes: Tensor, sought: Tensor) -> tuple[Tensor, Tensor]:
    """Where numbers stand among sorted nodes, `[m]` long, and whether they do, `[m]` bool."""
    place = torch.searchsorted(nodes, sought).clamp(max=len(nodes) - 1)
    return place, nodes[place] == sought


def scrambled(numbers: Tensor) -> Tensor:
    """Numbers `[n]` long without a pattern, each from one of these (splitmix64's last step)."""
    for shift, factor in MIXERS:
        numbers = (numbers ^ (numbers >> shift & (1 << 64 - shift) - 1)) * factor
    return numbers ^ (numbers >> 31 & (1 << 33) - 1)
