"""Independent references for rules with several streams or a history: loops, or another library."""

import torch
from conftest import make_input, make_stack
from torch import nn
from torch_geometric.nn.models import GroupAddRev

from zoo.connection import Site
from zoo.connections.reversible import Reversible
from zoo.probe import mixing


def test_mixing_of_reversible_worked_by_hand():
    """(y0, y0), (y0, y0 + y1), (y0 + y1, y0 + y2), (y0 + y2, y0 + y1 + y3), then the mean."""
    found = mixing([Reversible(site) for site in Site.line(2, 3)])
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0.5, 0.5, 0.5]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_reversible_against_pyg():
    """A layer of PyG's RevGNN with two groups of channels is two writes; so are its gradients."""
    stack, (x, edges) = make_stack("reversible", "graph", 4).double(), make_input("graph")
    layers = [GroupAddRev(nn.ModuleList(stack.branches[i : i + 2])) for i in (0, 2)]
    parameters = list(stack.parameters())
    found = []
    for theirs in (False, True):
        start = x.double().requires_grad_()
        if theirs:
            pair = layers[1](layers[0](torch.cat([start, start], 1), edges), edges)
            out = (pair[:, :8] + pair[:, 8:]) / 2
        else:
            out = stack(start, edges)
        grads = torch.autograd.grad(out.square().sum(), [start, *parameters])
        found.append([out.detach(), *grads])
    torch.testing.assert_close(*found, atol=1e-10, rtol=1e-8)
