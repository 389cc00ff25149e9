"""One independent reference for every equation: worked by hand, or another library."""

import math

import pytest
import torch
from conftest import MLP, make_input, make_stack
from torch import nn

from zoo.connection import Pointwise, Site
from zoo.connections.additive import LayerScale, Plain, Residual, ReZero, Scaled
from zoo.connections.anchored import Initial
from zoo.connections.gated import Highway
from zoo.connections.history import DenseFormer
from zoo.connections.streams import Hyper
from zoo.probes.mixing import mixing
from zoo.probes.profiles import dirichlet_energy
from zoo.stack import Stack

LOWER = torch.ones(4, 4).tril()


def matrix(rule, **options):
    return mixing([rule(site, **options) for site in Site.line(4, 3)])


def test_mixing_of_plain():
    assert torch.equal(matrix(Plain), torch.eye(4))


def test_mixing_of_residual():
    assert torch.equal(matrix(Residual), LOWER)


def test_mixing_of_rezero_at_the_start_and_filled_in():
    expected = torch.zeros(4, 4)
    expected[:, 0] = 1
    assert torch.equal(matrix(ReZero), expected)
    assert torch.equal(matrix(ReZero, alpha=1.0), LOWER)


def test_mixing_of_layer_scale():
    expected = 1e-4 * LOWER
    expected[:, 0] = 1
    torch.testing.assert_close(matrix(LayerScale), expected)


def test_mixing_of_scaled():
    """s = 1/2, b = 3, p = 1: the branch factor is 3 / 3 = 1 and the state halves at each write."""
    found = matrix(Scaled, state=0.5, branch=3.0, exponent=1.0)
    expected = [[1, 0, 0, 0], [0.5, 1, 0, 0], [0.25, 0.5, 1, 0], [0.125, 0.25, 0.5, 1]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_scaled_by_the_square_root_of_the_number_of_writes():
    assert matrix(Scaled)[3, 1].item() == pytest.approx(1 / math.sqrt(3))


def test_mixing_of_initial():
    expected = [[1, 0, 0, 0], [0.1, 0.9, 0, 0], [0.1, 0, 0.9, 0], [0.1, 0, 0, 0.9]]
    torch.testing.assert_close(matrix(Initial), torch.tensor(expected))


def test_mixing_of_denseformer_worked_by_hand():
    """Weights of the first write (1/2, 2), of the second (1, 0, 3).

    h0 = y0, x0 = y0; h1 = y0 + y1, x1 = y0/2 + 2 h1 = 5/2 y0 + 2 y1;
    h2 = x1 + y2, x2 = y0 + 3 h2 = 17/2 y0 + 6 y1 + 3 y2.
    """
    sites = [DenseFormer(site) for site in Site.line(2, 2)]
    sites[0].weight.data = torch.tensor([0.5, 2.0])
    sites[1].weight.data = torch.tensor([1.0, 0.0, 3.0])
    expected = [[1, 0, 0], [2.5, 2, 0], [8.5, 6, 3]]
    torch.testing.assert_close(mixing(sites), torch.tensor(expected))


def test_denseformer_against_a_loop_over_all_past_values():
    stack, (x,) = make_stack("denseformer", "mlp", 4), make_input("mlp")
    for connection in stack.sites:
        nn.init.normal_(connection.weight)
    past, current = [x], x
    for connection, branch in zip(stack.sites, stack.branches, strict=True):
        past.append(current + branch(current))
        current = sum(a * h for a, h in zip(connection.weight, past, strict=True))
    torch.testing.assert_close(stack(x), current)


def test_hyper_against_the_matrix_of_the_paper():
    """Eq. 2: the (n + 1) x (n + 1) matrix HC = [[0, B], [A_m, A_r]] acts on [F(h); H]."""
    rule, n, width = Hyper(Site(width=3), streams=2, dynamic=False), 2, 3
    for parameter in rule.parameters():
        nn.init.normal_(parameter)
    streams, branch = torch.randn(n, 5, width), MLP(width)
    state = rule(streams, branch)
    for position in range(5):
        hidden = streams[:, position]
        h = rule.reading @ hidden
        expected = rule.carrying.T @ hidden + rule.writing[:, None] * branch(h)
        torch.testing.assert_close(state[:, position], expected)


def test_dynamic_hyper_against_the_paper():
    """Eq. 10 to 13 position by position, with the state's root mean square as the norm."""
    n, width = 3, 4
    rule = Hyper(Site(width=width, index=1), streams=n)
    for parameter in rule.parameters():
        nn.init.normal_(parameter)
    streams, branch = torch.randn(n, 5, width), MLP(width)
    state = rule(streams, branch)
    for position in range(5):
        hidden = streams[:, position]
        normed = hidden / hidden.square().mean(1, keepdim=True).sqrt()
        change = torch.tanh(normed @ rule.weight)
        carry = rule.carrying + rule.scale[0] * change[:, :n]
        read = rule.reading + rule.scale[0] * change[:, n]
        write = rule.writing + rule.scale[1] * change[:, n + 1]
        expected = carry.T @ hidden + write[:, None] * branch(read @ hidden)
        torch.testing.assert_close(state[:, position], expected, atol=1e-5, rtol=1e-4)


def test_hyper_of_one_static_stream_is_residual():
    x = torch.randn(5, 8)
    one = make_stack("hyper", "mlp", streams=1, dynamic=False)
    torch.testing.assert_close(one(x), make_stack("residual", "mlp")(x))


def test_highway_is_a_convex_mixture():
    """Width 1, W = 0, b = log 3: the gate is 3/4."""
    rule = Highway(Site(width=1))
    nn.init.zeros_(rule.gate.weight)
    nn.init.constant_(rule.gate.bias, math.log(3))
    out = rule(torch.full((1, 1), 8.0), lambda x: 4 * torch.ones_like(x))
    assert out.item() == pytest.approx(0.75 * 4 + 0.25 * 8)


def test_nested_connections():
    """Blocks that are residual inside, in a plain row, are one residual stack."""
    branches = [MLP(8) for _ in range(4)]
    flat = Stack(branches, [Residual(site) for site in Site.line(8, 4)])
    halves = [
        Stack(branches[i : i + 2], [Residual(site) for site in Site.line(8, 2)]) for i in (0, 2)
    ]
    nested = Stack(halves, [Plain(site) for site in Site.line(8, 2)])
    x = torch.randn(5, 8)
    torch.testing.assert_close(nested(x), flat(x))


def test_pointwise_is_a_convolution_of_size_one():
    pointwise, conv = Pointwise(4, 6, axis=-3), nn.Conv2d(4, 6, 1)
    conv.weight.data = pointwise.weight.data[:, :, None, None]
    conv.bias.data = pointwise.bias.data
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(pointwise(x), conv(x), atol=1e-6, rtol=1e-5)


def test_dirichlet_energy_is_the_sum_over_edges():
    """1/2 sum over ordered pairs of |x_i / sqrt(d_i) - x_j / sqrt(d_j)|^2, degrees with loops."""
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    x, degree = torch.randn(3, 4), torch.tensor([2.0, 3.0, 2.0])
    scaled = x / degree.sqrt()[:, None]
    expected = sum((scaled[i] - scaled[j]).square().sum() / 2 for i, j in edges.T.tolist())
    energy = dirichlet_energy(x, edges)
    assert energy.item() == pytest.approx((expected / x.square().sum()).item(), rel=1e-5)
