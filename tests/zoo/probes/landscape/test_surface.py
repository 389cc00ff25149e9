"""Slices of the loss: filter-normalised directions, the net of the paper's evaluation."""

import numpy as np
import pytest
import torch
from torch import nn

from tasks.data.images.digits import Digits
from zoo.cli.main import main
from zoo.connections.additive import Plain, Residual
from zoo.errors import ConfigError
from zoo.loading import load
from zoo.models.cnn import CNN
from zoo.norm import Post
from zoo.probes.landscape.hessian import curvature
from zoo.probes.landscape.surface import Surface, direction, surface, surface_figure
from zoo.seeding import redraw


def squares(module, batch):
    """Half of the mean squared distance from targets."""
    x, target = batch
    return (module(x) - target).square().mean() / 2


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 3, 2, 2),
        nn.LayerNorm([3, 8, 8]),
        nn.Flatten(),
        nn.Linear(192, 2),
    )


def small_batch():
    drawn = torch.Generator().manual_seed(1)
    return torch.randn(6, 1, 4, 4, generator=drawn), torch.randn(6, 2, generator=drawn)


def state(module):
    tensors = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    return tensors, modes, [p.grad for p in module.parameters()], torch.get_rng_state()


def same(before, after):
    return (
        all(torch.equal(value, after[0][name]) for name, value in before[0].items())
        and before[1] == after[1]
        and all(a is b for a, b in zip(before[2], after[2], strict=True))
        and torch.equal(before[3], after[3])
    )


def test_every_filter_of_a_direction_has_the_norm_of_that_filter():
    net = small_net()
    offsets = direction(net, seed=3)
    assert set(offsets) == {"0.weight", "3.weight", "6.weight"}
    for name, filters in (("0.weight", 4), ("6.weight", 2)):
        for i in range(filters):
            weight, offset = net.get_parameter(name)[i].detach(), offsets[name][i]
            np.testing.assert_allclose(np.linalg.norm(weight), np.linalg.norm(offset), 1e-5)
    for i in range(3):  # what makes one output channel of a transposed convolution
        weight, offset = net[3].weight[:, i].detach(), offsets["3.weight"][:, i]
        np.testing.assert_allclose(np.linalg.norm(weight), np.linalg.norm(offset), 1e-5)


def test_a_larger_filter_gets_a_larger_direction_of_the_same_draws():
    net = small_net()
    before = direction(net, seed=3)["0.weight"]
    with torch.no_grad():
        net[0].weight[1] *= 10
        net[0].weight[2] = 0
    after = direction(net, seed=3)["0.weight"]
    torch.testing.assert_close(after[1], 10 * before[1])
    torch.testing.assert_close(after[0], before[0])
    assert not after[2].any()


def test_a_slice_of_a_quadratic_is_the_parabola_worked_by_hand():
    net = nn.Linear(2, 1, bias=False).double()
    net.weight.data = torch.tensor([[3.0, 4.0]]).double()
    x, target = torch.eye(2).double(), torch.tensor([[1.0], [-2.0]]).double()
    along = direction(net, seed=0)["weight"].numpy()[0]
    assert np.hypot(*along) == pytest.approx(5)
    result = surface(net, (x, target), squares, axes=1, points=5, reach=2.0)
    for step, loss in zip([-2, -1, 0, 1, 2], result.loss.tolist(), strict=True):
        v, w = np.array([3, 4]) + step * along
        assert loss == pytest.approx(((v - 1) ** 2 + (w + 2) ** 2) / 4)
    assert result.center == pytest.approx((4 + 36) / 4)


def test_two_directions_hold_the_slice_of_the_first_one():
    net, batch = small_net(), small_batch()
    line = surface(net, batch, squares, axes=1, points=5)
    plane = surface(net, batch, squares, axes=2, points=5)
    assert plane.loss.shape == (5, 5)
    torch.testing.assert_close(plane.loss[:, 2], line.loss)
    assert plane.center == line.center
    other = surface(net, batch, squares, axes=1, points=5, seed=1)
    assert not other.loss.equal(line.loss)


def test_scaling_the_layers_of_a_relu_net_leaves_the_surface_as_it_is():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)).double()
    batch = torch.randn(9, 3).double(), torch.randn(9, 1).double()
    before = surface(net, batch, squares, points=5).loss
    with torch.no_grad():
        net[0].weight *= 7
        net[0].bias *= 7
        net[2].weight /= 7
    torch.testing.assert_close(surface(net, batch, squares, points=5).loss, before)


def test_batch_norm_keeps_its_running_statistics_as_in_the_paper():
    net, batch = small_net(), small_batch()
    net[1].running_mean += 0.5
    center = surface(net.train(), batch, squares, axes=1, points=3).center
    with torch.no_grad():
        assert center == pytest.approx(squares(net.eval(), batch).item(), rel=1e-6)
        assert center != pytest.approx(squares(net.train(), batch).item(), rel=1e-2)


@pytest.mark.parametrize("fails", [False, True])
def test_the_net_is_bit_for_bit_as_it_was(fails):
    net, batch = small_net(), small_batch()
    squares(net, batch).backward()
    net[1].eval()
    before = state(net)
    calls = []

    def loss(module, batch):
        calls.append(1)
        if fails and len(calls) == 4:
            raise OSError("lost")
        return squares(module, batch) + torch.randn(())

    if fails:
        with pytest.raises(OSError, match="lost"):
            surface(net, batch, loss, points=3)
    else:
        surface(net, batch, loss, points=3)
    assert same(before, state(net))


def test_all_points_have_the_same_noise():
    noise = surface(small_net(), None, lambda m, b: torch.randn(()), axes=1, points=5).loss
    assert len(noise.unique()) == 1
    again = surface(small_net(), None, lambda m, b: torch.randn(()), axes=1, points=5).loss
    assert again.equal(noise)


def test_a_loss_that_is_not_finite_is_kept_and_drawn():
    net = nn.Linear(1, 1, bias=False).double()
    nn.init.ones_(net.weight)

    def loss(module, x):
        return module(x).exp().exp().sum()

    result = surface(net, torch.full((1, 1), 5.0).double(), loss, points=5)
    assert result.loss.isinf().any()
    assert result.loss.isfinite().any()
    surface_figure(result).canvas.draw()
    surface_figure(Surface(result.steps, result.loss[2])).canvas.draw()


def test_two_arms_of_a_comparison_are_cut_along_the_same_directions():
    arms = [CNN(1, 2, rule, Post(), depth=8, width=4) for rule in (Plain, Residual)]
    for arm in arms:
        redraw(arm, seed=0)
    plain, residual = (direction(arm, seed=5) for arm in arms)
    assert len(plain) == 8
    assert all(torch.equal(offset, residual[name]) for name, offset in plain.items())
    first, second = direction(arms[0], 5, 0), direction(arms[0], 5, 1)
    assert not any(torch.equal(offset, second[name]) for name, offset in first.items())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"axes": 3}, "axes=3 -- surface -- choose 1 or 2"),
        ({"points": 4}, "points=4 -- surface -- choose an odd number above 2"),
    ],
)
def test_what_makes_no_slice_is_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        surface(small_net(), small_batch(), squares, **options)


def test_a_loss_of_many_numbers_is_refused_and_so_is_a_net_without_filters():
    with pytest.raises(ConfigError, match=r"a loss of shape \(6, 2\) -- loss -- return a scalar"):
        surface(small_net(), small_batch(), lambda m, b: m(b[0]), points=3)
    with pytest.raises(ConfigError, match="no weight has filters"):
        surface(nn.BatchNorm1d(3), torch.ones(2, 3), lambda m, x: m(x).sum(), points=3)


def test_the_figure_has_a_map_for_each_net_and_one_scale():
    net, batch = small_net(), small_batch()
    slices = {name: surface(net, batch, squares, points=5) for name in ("plain", "a$b")}
    figure = surface_figure(slices)
    figure.canvas.draw()
    maps = figure.axes[:2]
    assert [axis.get_title().partition(" ")[0] for axis in maps] == ["plain", r"a\$b"]
    levels = [axis.collections[0].levels for axis in maps]
    np.testing.assert_array_equal(*levels)
    curves = surface_figure({"one": surface(net, batch, squares, axes=1, points=5)})
    (line,) = curves.axes[0].lines
    assert len(line.get_xdata()) == 5


@pytest.mark.slow
def test_without_skips_the_loss_of_a_deep_net_is_steeper_around_it(tmp_path):
    data = Digits().load()
    rows = data.train[:256]
    heights, ends = {}, {}
    for rule in ("plain", "residual"):
        folder = tmp_path / rule
        words = ["fit", "task=cnn", f"connection={rule}", "model.depth=56", "seed=1"]
        assert main([*words, "logger=none", f"run.dir={folder}"]) == 0
        net = load(folder)
        batch = *net.prepare(data.images[rows]), data.labels[rows]

        def loss(module, batch):
            return nn.functional.cross_entropy(module(batch[0]), batch[1])

        heights[rule] = surface(net.module, batch, loss, axes=1, points=5).loss.max()
        ends[rule] = curvature(net.module, batch, loss, steps=20)
    assert heights["plain"] > 10 * heights["residual"]
    assert ends["plain"].largest > 20 * ends["residual"].largest
    assert ends["plain"].smallest < ends["residual"].smallest < 0
