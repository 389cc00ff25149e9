"""Adaptive sharpness: quadratics by hand and by SciPy, and the invariance it is named for."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from zoo.errors import ConfigError
from zoo.probes.landscape.sharpness import sharpness, sharpness_figure


class Quadratic(nn.Module):
    """Half of (w - center)^T H (w - center)."""

    def __init__(self, weights, matrix, center):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights).double())
        self.matrix, self.center = torch.tensor(matrix).double(), torch.tensor(center).double()

    def forward(self, _):
        away = self.weight - self.center
        return away @ self.matrix @ away / 2


def loss(module, batch):
    return module(batch)


def test_at_the_minimum_of_a_quadratic_it_is_the_largest_eigenvalue_of_the_scaled_hessian():
    drawn = np.random.default_rng(0)
    factor, center = drawn.normal(size=(6, 6)), drawn.normal(size=6)
    matrix = factor @ factor.T
    scale = np.diag(np.abs(center))
    largest = scipy.linalg.eigvalsh(scale @ matrix @ scale)[-1]
    measured = sharpness(Quadratic(center, matrix, center), None, loss, radius=0.3, steps=200)
    assert measured == pytest.approx(0.3**2 * largest / 2, rel=1e-6)


def test_one_weight_by_hand():
    # weight 2, loss (w - 1)^2 / 2: at worst w = 2 + 0.5 * 2 = 3, from 1/2 to 2
    assert sharpness(Quadratic([2.0], [[1.0]], [1.0]), None, loss, radius=0.5) == pytest.approx(1.5)


def test_the_largest_rise_counts_wherever_the_ascent_goes_on():
    # loss -(w - 2.6)^2 / 2 around weight 2: the ascent goes to 3, and from there to 1
    hill = [2.0], [[-1.0]], [2.6]
    for steps in (1, 2):
        rise = sharpness(Quadratic(*hill), None, loss, radius=0.5, steps=steps)
        assert rise == pytest.approx((0.6**2 - 0.4**2) / 2)


def test_the_first_step_is_that_of_the_authors():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x, y = torch.randn(8, 3).double(), torch.randn(8, 1).double()

    def error(module, batch):
        return (module(batch[0]) - batch[1]).square().mean()

    start = error(net, (x, y))
    gradients = torch.autograd.grad(start, list(net.parameters()))
    moved = [p.detach().clone() for p in net.parameters()]
    length = sum((p * g).square().sum() for p, g in zip(moved, gradients, strict=True)).sqrt()
    other = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    for q, p, g in zip(other.parameters(), moved, gradients, strict=True):
        q.data = p + 0.2 * p.square() * g / length
    rise = (error(other, (x, y)) - start).item()
    assert sharpness(net, (x, y), error, radius=0.2, steps=1) == pytest.approx(rise, rel=1e-9)
    rises = [sharpness(net, (x, y), error, radius=0.2, steps=steps) for steps in range(5)]
    assert rises[0] == 0
    assert rises == sorted(rises)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), moved, strict=True))


def test_scaling_layers_in_a_way_that_keeps_the_function_changes_nothing():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8, bias=False), nn.ReLU(), nn.Linear(8, 1)).double()
    x = torch.randn(9, 3).double()

    def error(module, batch):
        return module(batch).square().mean()

    before = sharpness(net, x, error)
    with torch.no_grad():
        net[0].weight *= 7
        net[2].weight /= 7
    assert sharpness(net, x, error) == pytest.approx(before, rel=1e-9)


def test_a_flat_loss_has_none_and_one_that_overflows_nearby_has_no_end():
    flat = Quadratic([1.0, 2.0], [[0.0, 0.0], [0.0, 0.0]], [1.0, 2.0])
    assert sharpness(flat, None, loss) == 0
    steep = Quadratic([100.0], [[1.0]], [0.0])
    assert sharpness(steep, None, lambda m, b: (m(b) / 8).exp()) == math.inf


def test_a_loss_without_a_start_is_refused():
    with pytest.raises(ConfigError, match="a loss of nan -- loss"):
        sharpness(nn.Linear(1, 1), torch.tensor([[math.nan]]), lambda m, x: m(x).sum())
    with pytest.raises(ConfigError, match="the loss depends on no weight -- loss"):
        sharpness(nn.Linear(1, 1).requires_grad_(False), torch.ones(1, 1), lambda m, x: m(x).sum())


def test_the_figure_has_a_bar_for_each_net():
    figure = sharpness_figure({"plain": 2.0, "residual": 1.0})
    figure.canvas.draw()
    assert [bar.get_width() for bar in figure.axes[0].patches] == [2.0, 1.0]
