"""What a graph network leaves out while it trains: edges, and stored values of sparse features."""

from itertools import pairwise

import pytest
import torch

from tasks.data.graphs.csbm import CSBM
from tasks.gnn.task import NodeClassification
from tasks.training.optimizers import Adam
from zoo.connections.additive import Residual
from zoo.models.gnn import GNN
from zoo.models.layers.sparse import Sparse
from zoo.norm import NoNorm


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8])
def test_each_step_leaves_out_other_edges(share):
    data = CSBM(nodes=600).load()

    def make_model(**model_args):
        return GNN(connect=Residual, norm_placement=NoNorm(), depth=1, conv="sage", **model_args)

    task = NodeClassification(make_model, data, Adam(), 0, drop_edge=share)
    task.setup("fit")
    whole = {*map(tuple, data.edge_index.T.tolist())}
    steps = [{*map(tuple, task.dropped_edges()[0].T.tolist())} for _ in range(20)]
    assert all(edges <= whole for edges in steps)
    remaining = sum(map(len, steps)) / (20 * len(whole))
    assert remaining == pytest.approx(1 - share, abs=0.02)
    both = sum(len(a & b) for a, b in pairwise(steps)) / (19 * len(whole))
    assert both == pytest.approx((1 - share) ** 2, abs=0.03)


def test_dropout_of_sparse_values_keeps_their_mean():
    torch.manual_seed(0)
    matrix = Sparse.of_dense(torch.ones(200, 200))
    out = matrix.dropout(0.4, True) @ torch.eye(200)
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    assert (out == 0).float().mean().item() == pytest.approx(0.4, abs=0.02)
    assert torch.equal(matrix.dropout(0.4, False) @ torch.eye(200), torch.ones(200, 200))
