"""Numbers that a diagnosis is made of, by hand."""

import pytest
import torch
from torch import nn

from zoo.diagnosis.causes.gradients import ratio_of
from zoo.diagnosis.examine import examine
from zoo.diagnosis.measures import Channels, dead_share, flat_share, spread


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_units_are_the_channels_of_convolutions_through_what_keeps_their_axes(axes):
    layer = getattr(nn, f"Conv{axes}d")(3, 16, 3, padding=1)
    with torch.no_grad():
        layer.bias[:12] = -50
    pool = getattr(nn, f"MaxPool{axes}d")(2)
    net = nn.Sequential(layer, nn.ReLU(), pool, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    x = torch.randn(16, 3, *[8] * axes)
    net(x)
    outputs = examine(net, x, lambda net, x: net(x).square().mean()).outputs
    assert [(out.units, float(out.dead)) for out in outputs if out.dead is not None] == [
        (16, 12 / 16)
    ] * 2


def test_units_are_the_last_axis_of_all_that_came_from_no_convolution():
    channels, tokens = Channels(), torch.ones(2, 4, 4)
    images = torch.ones(2, 4, 4)
    channels.note("conv1d", [tokens], images)
    assert (channels.axis(tokens), channels.axis(images)) == (2, 1)
    for name, made in (("transpose", images.mT), ("matmul", images @ images)):
        channels.note(name, [images], made)
        assert channels.axis(made) == 2
    dead = torch.ones(3, 8, 2)
    dead[:, :2] = -1
    assert dead_share(dead, 1) == 2 / 8
    assert dead_share(dead.mT, 2) == 2 / 8


def test_a_unit_is_dead_where_it_is_so_for_every_example_and_further_below_zero_than_it_spreads():
    units = torch.tensor(
        [[1.0, -1.0, -1.0, -9.0], [-1.0, -1.0, -2.0, -1.0], [-1.0, -1.0, -1.5, -2.0]]
    )
    assert dead_share(units, 1) == 2 / 4  # the first is not for one example, the last comes near


class Rectified(nn.Module):
    """Two layers with a rectifier between them, twelve of whose sixteen units are dead."""

    def __init__(self, rectify):
        super().__init__()
        self.one, self.rectify, self.two = nn.Linear(4, 16), rectify, nn.Linear(16, 3)
        nn.init.constant_(self.one.bias[4:].data, -50.0)

    def forward(self, x):
        return self.two(self.rectify(self.one(x)))


@pytest.mark.parametrize(
    "rectify", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), torch.relu, torch.relu_]
)
def test_dead_units_are_seen_before_they_are_overwritten(rectify):
    outputs = examine(
        Rectified(rectify), torch.randn(32, 4), lambda net, x: net(x).square().mean()
    ).outputs
    assert [float(out.dead) for out in outputs if out.dead is not None] == [12 / 16]


def test_a_value_is_flat_at_either_end_of_its_activation():
    assert flat_share(torch.tensor([[-1.0, 0.0], [1.0, 0.5]]), (-1.0, 1.0)) == 1 / 2
    assert flat_share(torch.ones(2, 2), None) is None


def test_the_spread_of_rows_is_what_their_first_direction_leaves():
    assert spread(torch.ones(4, 3), 1) == pytest.approx(0, abs=1e-12)
    assert spread(torch.eye(4), 1) == pytest.approx(3 / 4)
    texts = torch.stack([torch.eye(4), torch.ones(4, 4)])
    assert spread(texts, 2) == pytest.approx(3 / 8)
    assert spread(texts, 1) == pytest.approx(float(spread(texts.flatten(1), 1)))


@pytest.mark.parametrize("shape", [(), (4,), (1, 4), (4, 1), (2, 1, 4)])
def test_one_row_and_one_column_have_no_spread(shape):
    assert spread(torch.ones(shape), len(shape) - 1).isnan()


def test_a_spread_has_no_unit():
    x = torch.randn(16, 5)
    assert spread(1e-15 * x, 1) == pytest.approx(float(spread(x, 1)), rel=1e-4)
    assert spread(1e-15 * torch.ones(4, 3), 1) == pytest.approx(0, abs=1e-12)


def test_a_gradient_is_that_of_the_start_over_that_of_the_end():
    assert ratio_of(torch.tensor([1.0, 2.0, torch.nan, 4.0, 8.0])) == 1 / 8
