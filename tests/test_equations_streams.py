"""Independent references for rules with several streams: plain loops, or another library."""

import math

import pytest
import torch
from conftest import MLP, make_input, make_stack
from torch import nn
from torch_geometric.nn.models import GroupAddRev

from zoo.connection import Site
from zoo.connections.manifold import ManifoldHyper, sinkhorn
from zoo.connections.reversible import Reversible
from zoo.connections.streams import AltUp
from zoo.probes.mixing import mixing


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def drawn(module, scale=1.0):
    """The module with every parameter drawn from a normal distribution."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=scale)
    return module


def projected(matrix, iterations=20):
    """Sinkhorn-Knopp as in the paper: exp, then columns and rows divided in turn."""
    matrix = matrix.exp()
    for _ in range(iterations):
        matrix = matrix / matrix.sum(0, keepdim=True)
        matrix = matrix / matrix.sum(1, keepdim=True)
    return matrix


@pytest.mark.parametrize("dynamic", [False, True])
def test_mhc_against_the_paper(dynamic):
    """Position by position, with the flattened streams normed by their root mean square."""
    n, width = 3, 4
    rule = drawn(ManifoldHyper(Site(width=width, index=1), streams=n, dynamic=dynamic))
    streams, branch = torch.randn(n, 5, width), MLP(width)
    state = rule(streams, branch)
    for position in range(5):
        hidden = streams[:, position]
        logits = [rule.reading, rule.writing, rule.carrying.flatten()]
        if dynamic:
            vector = hidden.flatten() / hidden.square().mean().sqrt()
            moved = (vector @ rule.weight).split([n, n, n * n])
            logits = [b + a * m for b, a, m in zip(logits, rule.scale, moved, strict=True)]
        h_pre, h_post = torch.sigmoid(logits[0]), 2 * torch.sigmoid(logits[1])
        h_res = projected(logits[2].view(n, n))
        expected = h_res @ hidden + h_post[:, None] * branch(h_pre @ hidden)
        torch.testing.assert_close(state[:, position], expected, atol=1e-5, rtol=1e-4)


def test_mhc_carries_by_doubly_stochastic_matrices():
    product = torch.eye(4, dtype=torch.float64)
    for depth in range(30):
        rule = drawn(ManifoldHyper(Site(width=8, index=depth)), 0.3)
        _, (carrying, _) = rule.read(torch.randn(4, 5, 8))
        matrix = carrying[:, :, 0, 0].double()
        for axis in (0, 1):
            torch.testing.assert_close(
                matrix.sum(axis), torch.ones(4, dtype=torch.float64), atol=1e-3, rtol=0
            )
        product = matrix @ product
        assert torch.linalg.matrix_norm(product, 2) <= 1 + 1e-3


def test_sinkhorn_bears_logits_that_exp_does_not():
    matrix = sinkhorn(torch.tensor([[0.0, 300.0], [0.0, 300.0]]), 20)
    torch.testing.assert_close(matrix, torch.full((2, 2), 0.5))


@pytest.mark.parametrize("name", ["mhc", "altup"])
def test_one_stream_is_residual(name):
    one, (x,) = make_stack(name, "mlp", streams=1), make_input("mlp")
    torch.testing.assert_close(one(x), make_stack("residual", "mlp")(x))


def test_permuted_streams_are_permuted_parameters():
    """Streams have no order: the same net with all of a site's parameters permuted alike."""
    stack, (x,) = make_stack("mhc", "mlp", 3), make_input("mlp")
    other = make_stack("mhc", "mlp", 3)
    drawn(stack.sites)
    order, n = torch.tensor([2, 0, 3, 1]), 4
    for ours, theirs in zip(stack.sites, other.sites, strict=True):
        theirs.reading.data = ours.reading.data[order]
        theirs.writing.data = ours.writing.data[order]
        theirs.carrying.data = ours.carrying.data[order][:, order]
        theirs.scale.data = ours.scale.data
        rows = ours.weight.data.view(n, 8, -1)[order].flatten(0, 1)
        r, w, a = rows.split([n, n, n * n], 1)
        a = a.unflatten(1, (n, n))[:, order][:, :, order].flatten(1)
        theirs.weight.data = torch.cat([r[:, order], w[:, order], a], 1)
    torch.testing.assert_close(other(x), stack(x), atol=1e-5, rtol=1e-4)


def test_mhc_starts_near_the_identity_with_one_stream_ahead():
    rule = ManifoldHyper(Site(width=8, index=6), dynamic=False)
    state = torch.randn(4, 5, 8)
    x, (carrying, writing) = rule.read(state)
    share = torch.tensor([1 / 12, 1 / 12, 3 / 4, 1 / 12])
    torch.testing.assert_close(x, torch.einsum("n,nbc->bc", share, state))
    leak = math.exp(-5) / (1 + 3 * math.exp(-5))
    expected = torch.full((4, 4), leak).fill_diagonal_(1 - 3 * leak)
    torch.testing.assert_close(carrying, expected)
    assert torch.equal(writing, torch.ones(4))


@pytest.mark.parametrize("streams", [2, 3, 4])
def test_streams_of_mhc_part_in_training(streams):
    stack, (x,) = make_stack("mhc", "mlp", 4, streams=streams), make_input("mlp")
    optimizer = torch.optim.SGD(stack.parameters(), 0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (stack(x) - x.flip(1)).square().mean().backward()
        optimizer.step()
    state = list(stack.states(x))[-1]
    assert state.std(0).max() > 1e-4


def test_altup_against_the_three_steps_of_the_paper():
    """Predict, compute, correct, with a layer that has its skip inside."""
    n, branch = 3, MLP(4)
    rule = drawn(AltUp(Site(width=4, index=4), streams=n))
    old, active = torch.randn(n, 5, 4), 4 % n

    def layer(x):
        return x + branch(x)

    predicted = [sum(rule.prediction[i, j] * old[j] for j in range(n)) for i in range(n)]
    computed = layer(predicted[active])
    gap = computed - predicted[active]
    expected = [predicted[i] + rule.correction[i] * gap for i in range(n)]
    torch.testing.assert_close(rule(old, branch), torch.stack(expected), atol=1e-5, rtol=1e-4)


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
