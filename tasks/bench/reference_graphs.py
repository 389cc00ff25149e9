"""GCNII of this project and of PyG on a random graph of Cora's size, to time against each other."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import GCN2Conv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import to_undirected

from tasks.bench.timed_net import BuildOptimizer, TimedNet
from zoo.connections.anchored import Initial
from zoo.models.gnn import GNN
from zoo.models.layers.sparse import Sparse
from zoo.models.layers.sparse_form import product_form
from zoo.norm import NoNorm

DEPTH, WIDTH = 64, 64
NODES, LINKS, FEATURES, CLASSES = 2708, 5278, 1433, 7
SHARE = 0.0127  # of the features that are not zero
DROPOUT, ALPHA, THETA = 0.6, 0.1, 0.5


class GCNII(nn.Module):
    """GCNII as PyG's example has it: logits `[N, classes]` of `x` `[N, F]` and its edges."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(FEATURES, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.layers = nn.ModuleList(
            GCN2Conv(WIDTH, ALPHA, THETA, layer + 1, normalize=False) for layer in range(depth)
        )

    def dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, DROPOUT, self.training)

    def forward(self, x: Tensor, *edges: Tensor) -> Tensor:
        h = first = self.stem(self.dropped(x)).relu()
        for layer in self.layers:
            h = layer(self.dropped(h), first, *edges).relu()
        return self.head(self.dropped(h))


class OnGraph(nn.Module):
    """A net of a graph as a function of the features alone."""

    def __init__(self, net: nn.Module, *edges: Any):
        super().__init__()
        self.net, self.edges = net, edges

    def forward(self, x: Any) -> Tensor:
        return self.net(x, *self.edges)


Made = tuple[nn.Module, Any]  # a net, and what it reads


def graph_models(device: torch.device, depth: int) -> tuple[dict[str, Callable[[], Made]], Tensor]:
    """Functions that make GCNII of PyG by a sparse matrix, by edges, and ours; and labels `[N]`.

    Args:
        device: of nets, graph and features.
        depth: layers.
    """
    x = (torch.rand(NODES, FEATURES) < SHARE).float().to(device)
    y = torch.arange(NODES, device=device) % CLASSES
    edge_index = to_undirected(torch.randint(NODES, (2, LINKS)), num_nodes=NODES).to(device)
    index, weight = gcn_norm(edge_index, None, NODES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, about the state of its sparse matrices
        matrix = torch.sparse_coo_tensor(index.flip(0), weight, (NODES, NODES)).to_sparse_csr()

    def theirs(*edges: Tensor) -> Made:
        return OnGraph(GCNII(depth), *edges).to(device), x

    def ours() -> Made:
        rule = functools.partial(Initial, alpha=ALPHA)
        options: dict[str, Any] = {"conv": "gcn2", "theta": THETA, "dropout": DROPOUT}
        net = GNN(FEATURES, CLASSES, rule, NoNorm(), depth, WIDTH, **options).to(device)
        (edges,) = net.prepare(edge_index, NODES)
        form = product_form(edges, WIDTH)
        return OnGraph(net, edges.taking(form)), Sparse.of_dense(x).taking(form)

    return {
        "PyG by a sparse matrix": functools.partial(theirs, matrix),
        "PyG by edges": functools.partial(theirs, index, weight),
        "this project": ours,
    }, y


def graph_nets(plain: BuildOptimizer, ours: BuildOptimizer) -> dict[str, dict[str, TimedNet]]:
    """GCNII of PyG by a sparse matrix and by lists of edges, and ours.

    Args:
        plain: makes the optimiser of PyG's net.
        ours: makes that of our net.
    """
    makes, y = graph_models(torch.device("cpu"), DEPTH)
    nets = {}
    for name, make in makes.items():
        net, x = make()
        nets[name] = TimedNet(net, ours if name == "this project" else plain, x, y)
    return {f"GCNII of {DEPTH} layers": nets}
