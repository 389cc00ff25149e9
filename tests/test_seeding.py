"""Paired draws: every parameter has its own, whatever else a net has."""

import torch
from torch import nn

from zoo.seeding import redraw


def test_layers_of_one_shape_have_draws_of_their_own():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4)))
    redraw(net, 0)
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    assert len({weight.sum().item() for weight in weights}) == 3


def test_draws_follow_from_seed_and_name_alone():
    small = nn.ModuleDict({"a": nn.Linear(4, 4)})
    large = nn.ModuleDict({name: nn.Linear(4, 4) for name in "bca"})
    redraw(small, 0)
    redraw(large, 0)
    assert torch.equal(small["a"].weight, large["a"].weight)
    redraw(large, 1)
    assert not torch.equal(small["a"].weight, large["a"].weight)


def test_drawing_leaves_the_random_state_alone():
    net, state = nn.Linear(4, 4), torch.get_rng_state()
    redraw(net, 0)
    assert torch.equal(state, torch.get_rng_state())
