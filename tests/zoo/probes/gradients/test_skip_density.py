"""Skip density: the gradient's growth as predicted, and what of it training shows."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tasks.data.images.digits import Digits
from zoo.connections.additive import Plain, Residual
from zoo.errors import ConfigError
from zoo.probes.gradients.random_skips import cell, gains
from zoo.probes.gradients.skip_density import (
    SkipDensity,
    neutral_density,
    predicted_gain,
    skip_density,
    skip_density_figure,
)
from zoo.probes.gradients.trainability import accuracy, trained_accuracy


def digits():
    """Pixels with mean 0 and variance 1 over the training part, and labels, by part."""
    data = Digits().load()
    pixels = data.images.float().flatten(1)
    pixels = (pixels - pixels[data.train].mean()) / pixels[data.train].std()
    return {part: (pixels[rows], data.labels[rows]) for part, rows in data.parts.items()}


@pytest.mark.parametrize(
    ("skips", "growth"), [(0, -69.3), (25, -41.8), (50, -14.4), (75, 13.1), (100, 40.5)]
)
def test_the_prediction_by_hand(skips, growth):
    by_layer = [1.5] * skips + [0.5] * (100 - skips)
    assert predicted_gain(100, skips, 0.5) == pytest.approx(sum(map(math.log, by_layer)))
    assert predicted_gain(100, skips, 0.5) == pytest.approx(growth, abs=0.06)


@pytest.mark.parametrize("variance", [0.1, 0.5, 0.9])
def test_at_the_neutral_density_the_prediction_is_zero(variance):
    density = neutral_density(variance)
    assert 0 < density < 1
    growth = density * math.log(1 + variance) + (1 - density) * math.log(variance)
    assert growth == pytest.approx(0, abs=1e-12)


def test_a_cell_has_skips_in_as_many_places_and_the_same_weights():
    cells = {skips: cell(12, skips, width=4, seed=1) for skips in (0, 3, 7, 12)}
    places = {
        skips: {i for i, site in enumerate(net.sites) if isinstance(site, Residual)}
        for skips, net in cells.items()
    }
    assert all(len(places[skips]) == skips for skips in cells)
    assert places[3] < places[7] < places[12]
    assert all(isinstance(site, Plain | Residual) for site in cells[7].sites)
    for p, q in zip(cells[0].parameters(), cells[12].parameters(), strict=True):
        assert torch.equal(p, q)
    with pytest.raises(ConfigError, match="skips=13 of 12 layers -- cell"):
        cell(12, 13)


def test_gains_of_known_maps():
    net = cell(3, 1, width=5, activation="identity")
    for branch in net.branches:
        nn.init.eye_(branch[1].weight)  # twice x -> x, once x -> x + x
    torch.testing.assert_close(gains(net, torch.randn(4, 5)), torch.full([4], 4.0).double())
    torch.manual_seed(0)
    linear = nn.Linear(6, 6, bias=False).double()
    above = [gains(linear, torch.randn(500, 6).double(), seed) for seed in range(20)]
    squared = torch.linalg.matrix_norm(linear.weight.detach()).square().item()
    assert torch.cat(above).mean().item() == pytest.approx(squared / 6, rel=0.03)


@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("layers", [20, 100])
def test_the_measured_growth_is_the_predicted_one(layers, activation):
    result = skip_density(layers, activation=activation, seeds=range(4))
    bound = (0.1 * result.predicted.abs()).clamp(min=1.2)
    assert (result.measured - result.predicted).abs().le(bound).all(), result
    assert result.accuracy is None
    assert math.isnan(result.rank_correlation)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("layers", [20, 100])
def test_the_measured_growth_over_20_cells(layers, activation):
    result = skip_density(layers, activation=activation)
    bound = (0.1 * result.predicted.abs()).clamp(min=1)
    assert (result.measured - result.predicted).abs().le(bound).all(), result


def test_training_works_near_the_neutral_density_and_not_without_skips():
    data = digits()
    reached = {
        skips: trained_accuracy(cell(20, skips, 32), data, 32, rates=[1e-2], epochs=5)
        for skips in (0, 13)
    }
    assert reached[0] < 0.25
    assert reached[13] > 0.5


@pytest.mark.slow
def test_trainability_peaks_near_the_neutral_density():
    data = digits()
    skips = [0, 6, 12, 19, 25, 31, 38, 44, 50]

    def train(net, seed):
        return trained_accuracy(net, data, width=64, seed=seed)

    result = skip_density(50, skips, width=64, seeds=range(3), accuracy=train)
    assert result.accuracy.shape == (9, 3)
    best = skips[int(result.accuracy.mean(1).argmax())] / 50
    assert abs(best - neutral_density(0.5)) < 0.15
    assert result.rank_correlation >= 0.8


def test_accuracy_of_a_net_that_lost_its_numbers_is_that_of_one_class():
    labels = torch.tensor([0, 0, 1, 2])
    net = nn.Linear(2, 3)
    assert accuracy(net, torch.full((4, 2), math.nan), labels) == 0.5
    body = nn.Linear(4, 4)
    nn.init.constant_(body.weight, math.nan)
    part = torch.ones(4, 2), labels
    value = trained_accuracy(body, {"train": part, "val": part, "test": part}, 4, rates=[1.0])
    assert value == 0.5


def test_every_rate_begins_with_the_weights_that_the_body_has():
    torch.manual_seed(0)
    part, body = (torch.randn(8, 2), torch.arange(8) % 2), nn.Linear(2, 2)
    before = [p.detach().clone() for p in body.parameters()]
    data = dict.fromkeys(("train", "val", "test"), part)
    trained_accuracy(body, data, 2, rates=[0.1, 1.0], epochs=1)
    assert all(map(torch.equal, body.parameters(), before))


def test_a_rate_is_chosen_on_the_validation_part():
    torch.manual_seed(0)
    inputs = torch.randn(64, 2)
    labels = (inputs[:, 0] > 0).long()
    data = {"train": (inputs, labels), "val": (inputs, 1 - labels), "test": (inputs, labels)}
    alone = [trained_accuracy(nn.Identity(), data, 2, rates=[r]) for r in (1e-6, 0.1)]
    assert alone[1] > 0.9
    assert trained_accuracy(nn.Identity(), data, 2, rates=[1e-6, 0.1]) == alone[0] < 0.9


def test_the_figure_shows_both_and_the_rank_correlation():
    result = SkipDensity(
        layers=4,
        variance=0.5,
        skips=(0, 2, 4),
        predicted=torch.tensor([-3.0, 0.0, 2.0]),
        measured=torch.tensor([-3.1, 0.1, 2.0]),
        accuracy=torch.tensor([[0.1, 0.2], [0.9, 0.8], [0.4, 0.5]]),
    )
    assert result.rank_correlation == pytest.approx(1)
    figure = skip_density_figure(result)
    figure.canvas.draw()
    growth, trained = figure.axes
    np.testing.assert_allclose(growth.lines[1].get_ydata(), result.measured)
    np.testing.assert_allclose(trained.lines[0].get_ydata(), [0.15, 0.85, 0.45], rtol=1e-6)
    assert trained.get_title() == "rank correlation 1.00"
