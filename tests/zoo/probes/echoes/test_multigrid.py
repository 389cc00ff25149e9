"""A U-Net is a V-cycle: against one written in NumPy, which shares nothing with it."""

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import spsolve
from torch import nn

from zoo.connections.additive import Plain, Residual
from zoo.models.layers.level import Level
from zoo.models.unet import UNet
from zoo.probes.echoes.multigrid import multigrid, multigrid_figure, poisson
from zoo.probes.echoes.v_cycle import KeepsData, jacobi, v_cycle
from zoo.stack import Stack

LONG = {"kept": Residual, "dropped": KeepsData, "cut": Plain}


def laplace(u, h):
    p = np.pad(u, 1)
    return (4 * u - p[:-2, 1:-1] - p[2:, 1:-1] - p[1:-1, :-2] - p[1:-1, 2:]) / h**2


def smoothed(u, f, h, steps, damping):
    for _ in range(steps):
        u = u + damping * h**2 / 4 * (f - laplace(u, h))
    return u


def restricted(r):
    """Full weighting, one coarse point after the other."""
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    inner = range(1, len(r), 2)
    return np.array([[(weights * r[i - 1 : i + 2, j - 1 : j + 2]).sum() for j in inner]
                     for i in inner])  # fmt: skip


def prolonged(e):
    """Bilinear interpolation: first along columns, then along rows."""
    fine, coarse = np.arange(2 * len(e) + 3), np.arange(len(e) + 2) * 2
    columns = np.array([np.interp(fine, coarse, row) for row in np.pad(e, 1)])
    return np.array([np.interp(fine, coarse, row) for row in columns.T]).T[1:-1, 1:-1]


def cycle(u, f, h, steps, damping, long):
    if len(u) == 1:
        return f * h**2 / 4
    u = smoothed(u, f, h, steps, damping)
    coarse = restricted(f - laplace(u, h))
    e = cycle(np.zeros_like(coarse), coarse, 2 * h, steps, damping, long)
    u = prolonged(e) + (u if long == "kept" else 0)
    return smoothed(u, 0 * f if long == "cut" else f, h, steps, damping)


@pytest.mark.parametrize("long", LONG)
@pytest.mark.parametrize(("side", "steps", "damping"), [(31, 2, 0.8), (15, 1, 0.6), (3, 3, 1.0)])
def test_one_pass_is_one_cycle(side, steps, damping, long):
    u, f = np.random.default_rng(side).normal(size=(2, side, side))
    expected = cycle(u, f, 1 / (side + 1), steps, damping, long)
    net = v_cycle(side, LONG[long], steps, damping)
    passed = net(torch.from_numpy(np.stack([u, f]))[None])[0, 0].detach().numpy()
    np.testing.assert_allclose(passed, expected, rtol=0, atol=1e-10 * abs(expected).max())


def test_the_net_is_our_unet_with_linear_branches():
    net = v_cycle(15, smoothing=3)
    assert type(net) is UNet
    assert net.depth == 3
    stacks = [module for module in net.modules() if isinstance(module, Stack)]
    assert [len(stack.branches) for stack in stacks] == [1, 2, 3, 3, 3, 3, 3, 3]
    levels = [module for module in net.modules() if isinstance(module, Level)]
    rules = [site for stack in stacks for site in stack.sites] + [level.site for level in levels]
    assert {type(rule) for rule in rules} == {Residual}
    x, y = torch.randn(2, 1, 2, 15, 15, dtype=torch.float64)
    torch.testing.assert_close(net(3 * x - y), 3 * net(x) - net(y))


def test_cycles_converge_to_the_solution():
    side = 31
    net, f = v_cycle(side), torch.randn(1, 1, side, side, dtype=torch.float64)
    u = torch.zeros_like(f)
    with torch.no_grad():
        for _ in range(20):
            u = net(torch.cat([u, f], 1))
    line = sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], (side, side)) * (side + 1) ** 2
    matrix = sparse.kron(line, sparse.eye(side)) + sparse.kron(sparse.eye(side), line)
    solution = spsolve(matrix.tocsc(), f.flatten().numpy())
    np.testing.assert_allclose(u.flatten().numpy(), solution, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(poisson(u), f)


def test_it_converges_alike_on_every_grid_and_stands_still_without_the_long_skip():
    """By hand: .177, .173 and .174 a cycle; .25 for ever where the fine solution is dropped."""
    kept = [multigrid(v_cycle(side), side) for side in (31, 63, 127)]
    factors = [result.factor for result in kept]
    assert max(factors) <= 0.2
    assert max(factors) - min(factors) <= 0.01
    assert all(result.residuals[-1] < 1e-11 for result in kept)
    for side in (31, 63, 127):
        dropped = multigrid(v_cycle(side, KeepsData), side).residuals
        assert dropped[-1] == pytest.approx(0.25, abs=0.03)
        assert dropped[-1] == pytest.approx(dropped[-3], rel=0.02)
        assert multigrid(v_cycle(side, Plain), side).residuals[-1] > 0.9


def test_a_residual_net_without_levels_is_jacobi():
    """Its slowest wave shrinks by 1 - w (1 - cos pi h) a sweep, so by that often a pass."""
    result = multigrid(jacobi(4, 15), 15, cycles=200)
    assert result.factor == pytest.approx((1 - 0.8 * (1 - np.cos(np.pi / 16))) ** 4, rel=1e-5)


def test_seeds_choose_the_right_hand_side():
    net = v_cycle(7)
    assert multigrid(net, 7, seed=1) == multigrid(net, 7, seed=1) != multigrid(net, 7, seed=2)


@pytest.mark.parametrize("side", [1, 8, 30])
def test_other_grids_are_refused(side):
    with pytest.raises(ValueError, match="2\\^k - 1"):
        v_cycle(side)
    with pytest.raises(ValueError, match="smoothing=0"):
        v_cycle(7, smoothing=0)


def test_every_weight_can_be_trained():
    """Smoothers that are learned begin here."""
    net = v_cycle(7)
    net(torch.randn(1, 2, 7, 7, dtype=torch.float64)).square().sum().backward()
    convs = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert all(conv.weight.grad is not None for conv in convs)


def test_the_figure_shows_every_solver():
    results = {"V-cycle": multigrid(v_cycle(7), 7), "Jacobi": multigrid(jacobi(4, 7), 7)}
    (axis,) = multigrid_figure(results).axes
    lines = axis.get_lines()
    assert [line.get_label().partition(":")[0] for line in lines] == ["V-cycle", "Jacobi"]
    assert tuple(lines[0].get_ydata()) == results["V-cycle"].residuals
