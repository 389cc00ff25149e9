"""The autocorrelation of gradients: by hand, against statsmodels, and the published picture."""

import functools

import numpy as np
import pytest
import torch
from statsmodels.tsa.stattools import acf
from torch import nn

from zoo.connections.additive import Plain, Residual, Scaled
from zoo.errors import ConfigError
from zoo.probes.gradients.shattering import (
    autocorrelation,
    rectifier_net,
    shattering,
    shattering_figure,
)

ENDS = torch.tensor([-2.0]), torch.tensor([2.0])


class Function(nn.Module):
    """A net without parameters."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_the_autocorrelation_is_that_of_statsmodels():
    series = np.random.default_rng(0).normal(size=300).cumsum()
    ours = autocorrelation(torch.from_numpy(series)[:, None], 50)
    np.testing.assert_allclose(ours, acf(series, nlags=50, fft=False), rtol=1e-10)


def test_vectors_add_up_over_their_coordinates():
    # around the mean (2, 0): (-1, 1), (-1, -1), (1, 1), (1, -1); products 0, -2, 0 at a distance 1
    series = torch.tensor([[1.0, 1.0], [1.0, -1.0], [3.0, 1.0], [3.0, -1.0]])
    assert autocorrelation(series, 2).tolist() == pytest.approx([1, -2 / 8, 0])


def test_the_slope_of_a_broken_line_by_hand():
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():  # relu(x) + relu(x - 1): slopes 0, 1 and 2
        net[0].weight.fill_(1)
        net[0].bias.copy_(torch.tensor([0.0, -1.0]))
        net[2].weight.fill_(1)
    result = shattering(net, *ENDS, points=8, lags=2)  # at -2, -1.43, .., -.29 | .29, .86 | 1.43, 2
    assert result.slope.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    centered = np.array([0, 0, 0, 0, 1, 1, 2, 2]) - 0.75
    expected = (centered[1:] * centered[:-1]).sum() / (centered**2).sum()
    assert result.neighbours == pytest.approx(expected)


def test_the_slope_is_along_the_line_and_the_gradient_over_all_coordinates():
    net = Function(lambda x: (x**2).sum(1))
    start, end = torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0])
    result = shattering(net, start, end, points=6, lags=1)
    np.testing.assert_allclose(result.slope, [0, 2, 4, 6, 8, 10], rtol=1e-6)
    ramp = np.arange(6.0)
    assert result.neighbours == pytest.approx(acf(ramp, nlags=1, fft=False)[1], rel=1e-6)


def test_images_and_a_loss_of_the_users():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))
    start, end = torch.randn(2, 1, 4, 4)

    def first_class(module, inputs):
        return module(inputs)[:, 0].sum()

    result = shattering(net, start, end, first_class, points=9, lags=3)
    assert result.slope.shape == (9,)
    share, step = 3 / 8, 1e-3

    def height(share):
        with torch.no_grad():
            return net((start + share * (end - start))[None])[0, 0].item()

    rise = (height(share + step) - height(share - step)) / (2 * step)
    assert result.slope[3].item() == pytest.approx(rise / (end - start).norm().item(), rel=1e-2)


def test_a_gradient_that_is_the_same_everywhere_is_not_shattered_and_a_dead_one_is_nan():
    torch.manual_seed(0)
    linear = nn.Sequential(*[nn.Linear(3, 3) for _ in range(20)])
    result = shattering(linear, torch.zeros(3), torch.ones(3))
    assert result.autocorrelation.eq(1).all()
    dead = shattering(Function(lambda x: 0 * x), *ENDS)
    assert dead.autocorrelation.isnan().all()


def test_batch_norm_has_the_statistics_of_the_line_and_points_do_not_act_on_each_other():
    net = nn.Sequential(nn.BatchNorm1d(1, eps=1e-12), Function(lambda x: x**2))
    net.train()
    start, end = torch.tensor([1.0]), torch.tensor([5.0])
    result = shattering(net, start, end, points=101, lags=1)
    line = np.linspace(1, 5, 101)
    slopes = 2 * (line - 3) / line.var(ddof=1)
    np.testing.assert_allclose(result.slope, slopes, rtol=1e-4, atol=1e-5)
    trained = shattering(net.eval(), start, end, points=101, lags=1)
    np.testing.assert_allclose(trained.slope, 2 * line, rtol=1e-5)  # running mean 0, variance 1


def test_the_net_is_as_it_was():
    net = rectifier_net(3, Residual, norm=True, width=8).train()
    norm = net[1].branches[0][0]
    norm.momentum = 0.3
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    shattering(net, *ENDS)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert norm.momentum == 0.3
    assert all(part.training for part in net.modules())
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: shattering(nn.Linear(1, 1), ENDS[0], ENDS[0]), "start and end make no line"),
        (lambda: shattering(nn.Linear(1, 1), ENDS[0], torch.ones(2)), "start and end make no"),
        (lambda: shattering(nn.Linear(1, 1), *ENDS, points=5, lags=5), "lags=5 of 5 points"),
        (lambda: shattering(Function(torch.Tensor.detach), *ENDS), "does not depend on inputs"),
        (
            lambda: shattering(nn.Embedding(3, 2), torch.tensor([0]), torch.tensor([2])),
            "inputs of torch.int64 have no gradient",
        ),
    ],
)
def test_what_has_no_gradient_along_a_line_is_refused(call, said):
    with pytest.raises(ConfigError, match=said):
        call()


def neighbours(depth, rule, norm, seeds):
    nets = (rectifier_net(depth, rule, norm, seed=seed) for seed in seeds)
    return np.array([shattering(net, *ENDS).neighbours for net in nets])


def test_arms_of_one_seed_have_the_same_layers():
    plain, residual = (rectifier_net(4, rule, width=5, seed=3) for rule in (Plain, Residual))
    for p, q in zip(plain.parameters(), residual.parameters(), strict=True):
        assert torch.equal(p, q)


def test_plain_gradients_look_like_white_noise_and_residual_ones_like_brown():
    # figures 1 and 2 of the paper; white noise of 256 points has 0.00 +- 0.06, brown 0.97 +- 0.02
    small = functools.partial(Scaled, branch=0.1, exponent=0.0)
    shallow = neighbours(1, Plain, False, range(3))
    plain = neighbours(24, Plain, True, range(3))
    residual = neighbours(50, small, True, range(3))
    assert shallow.min() > 0.9
    assert abs(plain.mean()) < 0.1
    assert residual.min() > 0.75


@pytest.mark.slow
def test_the_published_figure_over_20_nets():
    small = functools.partial(Scaled, branch=0.1, exponent=0.0)
    seeds = range(20)
    means = {
        "plain": [neighbours(depth, Plain, True, seeds).mean() for depth in (2, 10, 24, 50)],
        "residual": [neighbours(depth, Residual, True, seeds).mean() for depth in (2, 10, 24, 50)],
        "small": [neighbours(depth, small, True, seeds).mean() for depth in (2, 10, 24, 50)],
    }
    assert all(np.diff(means["plain"][:3]) < 0)
    assert np.abs(means["plain"][2:]).max() < 0.05
    assert means["residual"][3] > 0.5
    assert means["small"][3] > 0.85
    assert neighbours(24, Plain, False, seeds).mean() > 0.7  # without BatchNorm it does not shatter


def test_the_figure_has_a_line_of_slopes_for_each_net_and_names_the_number():
    nets = {"plain": rectifier_net(2, width=8), "residual": rectifier_net(2, Residual, width=8)}
    results = {name: shattering(net, *ENDS, points=50, lags=9) for name, net in nets.items()}
    figure = shattering_figure(results)
    figure.canvas.draw()
    correlations, first, second = figure.axes
    assert [len(axis.lines[0].get_xdata()) for axis in (first, second)] == [50, 50]
    labels = [text.get_text() for text in correlations.get_legend().get_texts()]
    assert labels == [f"{name} ({result.neighbours:.2f})" for name, result in results.items()]
    shattering_figure(results["plain"]).canvas.draw()
