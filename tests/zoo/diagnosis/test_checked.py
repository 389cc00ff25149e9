"""A diagnosis names the causes that it could look for, and no others."""

import torch
from torch import nn

from zoo.diagnosis.diagnose import OF_GRADIENTS, OF_STEPS, diagnose
from zoo.diagnosis.finding import CAUSES

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def missing(net, optimizer=None, x=X):
    checked = diagnose(net, x, lambda net, x: net(x).square().mean(), optimizer).checked
    return {*CAUSES} - {*checked}


def test_steps_are_looked_at_where_an_optimiser_takes_them_from_the_gradient_alone():
    net, table = nn.Linear(4, 3), nn.Embedding(8, 4, sparse=True)
    assert missing(net) == {"decayed_norms", *OF_STEPS}
    assert missing(net, torch.optim.AdamW(net.parameters())) == set()
    assert missing(net, torch.optim.LBFGS(net.parameters())) == {*OF_STEPS}
    optimizer = torch.optim.SparseAdam(table.parameters())
    assert missing(table, optimizer, torch.arange(8)) == {*OF_STEPS}


def test_gradients_are_looked_at_where_a_weight_has_one():
    net = nn.Linear(4, 3).requires_grad_(False)
    optimizer = torch.optim.SGD(net.parameters())
    assert missing(net, optimizer) == {*OF_GRADIENTS, *OF_STEPS}
