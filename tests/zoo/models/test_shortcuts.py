"""Shortcuts and draws that the CNN and the U-Net share."""

import itertools
import math

import pytest
import torch
from conftest import ACTS
from scipy import integrate
from torch import nn

from zoo.connections.additive import Residual
from zoo.connections.projected import Concat
from zoo.init import ZeroLast
from zoo.models.cnn import CNN
from zoo.models.layers.conv import ACTIVATIONS, Conv
from zoo.models.unet import UNet
from zoo.norm import NoNorm, Post, Pre, Sandwich
from zoo.seeding import redraw
from zoo.stack import Stack

NETS = {
    "cnn": lambda placement, **arguments: CNN(
        3, 10, Residual, placement, depth=14, width=[4, 8], **arguments
    ),
    "unet": lambda placement, **arguments: UNet(
        3, 5, Residual, Concat, placement, depth=2, width=4, blocks=2, **arguments
    ),
}
every_net = pytest.mark.parametrize("net", NETS)


def make(net, placement, **changes):
    model = NETS[net](placement, **changes)
    redraw(model, 0)
    return model


def shortcuts(model):
    stacks = [module for module in model.modules() if isinstance(module, Stack)]
    return [s for stack in stacks for s in stack.shortcuts if s is not None]


@every_net
@pytest.mark.parametrize("kind", ["B", "C"])
@pytest.mark.parametrize("placement", [NoNorm, Pre, Sandwich, Post])
def test_a_projection_has_a_norm_where_one_is_wanted_and_never_a_bias(net, kind, placement):
    for wanted in (True, False):
        made = shortcuts(make(net, placement(), shortcut=kind, shortcut_norm=wanted))
        layers = [list(s.children()) or [s] for s in made]
        kinds = [[type(layer).__name__ for layer in each] for each in layers]
        normed = wanted and placement is Post
        assert kinds == [["Conv", "BatchNorm"] if normed else ["Conv"]] * len(made) != []
        assert all(conv.bias is None for conv, *_ in layers)


@every_net
def test_without_their_norms_projections_are_sums_of_channels(net):
    model = make(net, Post(), shortcut_norm=False, shortcut="C")
    for conv in shortcuts(model):
        x = torch.randn(2, conv.in_channels, 6, 6)
        stride = conv.stride[0]
        expected = torch.einsum("oi,bihw->bohw", conv.weight[:, :, 0, 0], x)
        torch.testing.assert_close(conv(x), expected[..., ::stride, ::stride])


@every_net
@pytest.mark.parametrize("kind", ["B", "C"])
def test_gains_of_projections_start_where_they_are_told(net, kind):
    model, scaled = (make(net, Post(), shortcut=kind) for _ in range(2))
    ZeroLast(gain=1.0, shortcut=0.1).apply(scaled)
    gains = {id(s[1].weight) for s in shortcuts(scaled)}
    assert gains
    for (name, new), old in zip(scaled.named_parameters(), model.parameters(), strict=True):
        expected = torch.full_like(old, 0.1) if id(new) in gains else old
        assert torch.equal(new, expected), name


@pytest.mark.parametrize("activation", ACTS)
def test_draws_keep_the_mean_square_of_what_an_activation_gives(activation):
    """The gain is that of the formula: 1 / sqrt(E f(z)^2), z standard normal."""
    act, gain = ACTIVATIONS[activation]

    def density(z):
        value = ACTS[activation](torch.tensor(z, dtype=torch.double)).item()
        return value**2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    mean = integrate.quad(density, -12, 12, points=[0])[0]
    assert gain == pytest.approx(mean**-0.5, rel=1e-6)
    torch.manual_seed(0)
    conv, x = Conv(2000, 2000, 1, gain=gain), torch.randn(20, 2000, 1, 1)
    assert conv(act()(x)).square().mean().item() == pytest.approx(1, rel=0.03)


@every_net
def test_nets_of_all_activations_start_from_the_same_draws(net):
    """Convolutions beside an activation differ by its gain alone, all else is the same."""
    models = {name: make(net, Pre(), activation=name) for name in ACTS}
    for one, other in itertools.combinations(models, 2):
        ratio, scaled = ACTIVATIONS[other][1] / ACTIVATIONS[one][1], set()
        pairs = zip(models[one].named_parameters(), models[other].parameters(), strict=True)
        for (name, first), second in pairs:
            if not torch.equal(first, second):
                torch.testing.assert_close(second, ratio * first)
                scaled.add(name)
        branches = [m for s in models[one].modules() if isinstance(s, Stack) for m in s.branches]
        convs = [m for b in branches for m in b.modules() if isinstance(m, nn.Conv2d)]
        projections = {id(conv.weight) for conv in convs}
        named = {n for n, p in models[one].named_parameters() if id(p) in projections}
        assert scaled >= named != set()
        assert not any("head" in name or "shortcuts" in name for name in scaled)
