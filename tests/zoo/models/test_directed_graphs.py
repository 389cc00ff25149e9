"""Messages go from source to target, in every convolution."""

import pytest
import torch
from small_graphs import CONVS
from torch_geometric.nn import GCN2Conv, GCNConv

from zoo.connections.additive import Plain, Residual
from zoo.models.gnn import GNN
from zoo.norm import NoNorm
from zoo.seeding import redraw

EDGES = torch.tensor([[0, 1, 1, 3, 4], [1, 2, 3, 4, 5]])  # 0 -> 1 -> 2, 1 -> 3 -> 4 -> 5
NODES = 7  # the last one is alone


def make(conv, depth, connect=Residual, **changes):
    model = GNN(4, 3, connect, NoNorm(), depth, 16, conv, dropout=0.0, **changes)
    redraw(model, 0)
    return model.eval()


def reached(steps):
    """`[target, source]`: whether a path of at most so many edges leads from source to target."""
    adjacency = torch.eye(NODES)
    adjacency[EDGES[1], EDGES[0]] = 1
    return torch.linalg.matrix_power(adjacency, steps) > 0


@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("connect", [Plain, Residual])
def test_a_node_hears_of_itself_and_of_those_with_a_path_to_it(conv, depth, connect):
    model = make(conv, depth, connect)
    x = torch.rand(NODES, 4, dtype=torch.float32) + 0.5
    edges = model.prepare(EDGES, NODES)
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x, *edges), x)
    heard = jacobian.abs().sum((1, 3)) > 1e-9  # [target, source]
    assert torch.equal(heard, reached(depth))


def test_gcn_on_a_directed_graph_is_pygs():
    model, layer = make("gcn", 1, Plain), GCNConv(16, 16)
    layer.load_state_dict(model.body.branches[0].core.core.state_dict())
    h = torch.randn(NODES, 16)
    expected = layer(h, EDGES).relu()
    torch.testing.assert_close(model.body(h, *model.prepare(EDGES, NODES)), expected)


def test_gcn2_on_a_directed_graph_is_pygs():
    from zoo.connections.anchored import Initial

    model, layer = make("gcn2", 1, Initial), GCN2Conv(16, 0.1, 0.5, 1)
    layer.weight1.data = model.body.posts[0].weight.data
    h = torch.randn(NODES, 16)
    values = model.body(h, *model.prepare(EDGES, NODES))
    torch.testing.assert_close(values, layer(h, h, EDGES).relu(), atol=1e-6, rtol=1e-5)
