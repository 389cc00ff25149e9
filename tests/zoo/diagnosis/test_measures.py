"""Numbers that a diagnosis is made of, by hand."""

import pytest
import torch

from zoo.diagnosis.causes.gradients import ratio_of
from zoo.diagnosis.measures import dead_share, flat_share, spread


def test_units_are_channels_of_images_and_the_last_axis_of_all_others():
    images = torch.ones(3, 8, 2, 5)
    images[:, :2] = 0
    assert dead_share(images) == 2 / 8
    assert dead_share(images.movedim(1, -1).flatten(1, 2)) == 2 / 8


def test_a_unit_is_dead_where_it_is_so_for_every_example():
    units = torch.ones(3, 4)
    units[:2, 0] = units[:, 1] = 0
    assert dead_share(units) == 1 / 4


def test_a_value_is_flat_at_either_end_of_its_activation():
    assert flat_share(torch.tensor([[-1.0, 0.0], [1.0, 0.5]]), (-1.0, 1.0)) == 1 / 2
    assert flat_share(torch.ones(2, 2), None) is None


def test_the_spread_of_rows_is_what_their_first_direction_leaves():
    assert spread(torch.ones(4, 3)) == pytest.approx(0, abs=1e-12)
    assert spread(torch.eye(4)) == pytest.approx(3 / 4)
    assert spread(torch.stack([torch.eye(4), torch.ones(4, 4)])) == pytest.approx(3 / 8)


def test_a_spread_has_no_unit():
    x = torch.randn(16, 5)
    assert spread(1e-15 * x) == pytest.approx(float(spread(x)), rel=1e-4)
    assert spread(1e-15 * torch.ones(4, 3)) == pytest.approx(0, abs=1e-12)


def test_a_gradient_is_that_of_the_start_over_that_of_the_end():
    assert ratio_of(torch.tensor([1.0, 2.0, torch.nan, 4.0, 8.0])) == 1 / 8
