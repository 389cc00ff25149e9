"""What a rule for the start of branches changes, and what it leaves as drawn."""

import copy

import pytest
import torch
from torch import nn

from zoo.connections.additive import Residual
from zoo.connections.projected import Concat
from zoo.init import DeepNorm, ZeroLast
from zoo.models.cnn import CNN
from zoo.models.diffusion import Diffusion
from zoo.models.gnn import GNN
from zoo.models.transformer import Transformer
from zoo.models.unet import UNet
from zoo.norm import NoNorm, Post, Pre, Sandwich
from zoo.seeding import redraw
from zoo.stack import Stack


@pytest.mark.parametrize("placement", [NoNorm(), Pre(), Post(), Sandwich()])
def test_zero_last_zeroes_one_factor_of_each_branch(placement):
    """The gain of a norm that ends the branch, or else the weights of its last layer."""
    model = CNN(3, 10, Residual, placement, depth=8, width=[4])
    redraw(model, 0)
    before = copy.deepcopy(model.state_dict())
    ZeroLast().apply(model)
    layers = [m for b in model.body.branches for m in b.modules() if hasattr(m, "weight")]
    each = len(layers) // len(model.body.branches)
    for index, layer in enumerate(layers):
        last = index % each == each - 1
        assert (layer.weight.abs().max() == 0) == last
        assert isinstance(layer, nn.Conv2d) or not last or placement.closes or placement.follows
    changed = [name for name, value in model.state_dict().items() if value.ne(before[name]).any()]
    assert len(changed) == len(model.body.branches)


NETS = {
    "cnn": lambda placement: CNN(3, 10, Residual, placement, depth=8, width=[4]),
    "unet": lambda placement: UNet(3, 5, Residual, Concat, placement, depth=2, width=4),
    "transformer": lambda placement: Transformer(11, Residual, placement, depth=2, width=8),
    "gnn": lambda placement: GNN(6, 3, Residual, placement, depth=3, width=8, dropout=0.0),
    "diffusion": lambda placement: Diffusion(
        3, 2, Residual, Concat, placement, width=8, depth=2, attention_at=[0]
    ),
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("placement", [NoNorm(), Pre(), Post(), Sandwich()])
@pytest.mark.parametrize("gain", [0.0, 0.1, 1.0])
def test_a_branch_starts_at_a_share_of_what_is_drawn(net, placement, gain):
    """By the gains of the norms that end branches where there are any; nothing else changes."""
    drawn = NETS[net](placement)
    redraw(drawn, 0)
    model = copy.deepcopy(drawn)
    ZeroLast(gain).apply(model)
    stacks = [m for m in model.modules() if isinstance(m, Stack)]
    branches = [branch for stack in stacks for branch in stack.branches]
    last = [[m for m in b.modules() if hasattr(m, "weight")][-1] for b in branches]
    own = {id(parameter) for layer in last for parameter in layer.parameters()}
    for (name, new), old in zip(model.named_parameters(), drawn.parameters(), strict=True):
        assert torch.equal(new, gain * old if id(new) in own else old), name
    if placement.closes or (placement.follows and net in ("cnn", "unet")):
        assert all(layer.weight.ndim == 1 and (layer.weight == gain).all() for layer in last)


@pytest.mark.parametrize("placement", [NoNorm(), Pre(), Post(), Sandwich()])
def test_a_branch_gives_a_tenth_of_what_is_drawn(placement):
    drawn = NETS["cnn"](placement)
    redraw(drawn, 0)
    model, x = copy.deepcopy(drawn), torch.randn(2, 4, 6, 6)
    ZeroLast(0.1).apply(model)
    for ours, theirs in zip(model.body.branches, drawn.body.branches, strict=True):
        torch.testing.assert_close(ours(x), 0.1 * theirs(x))


@pytest.mark.parametrize(
    ("conv", "gain"), [("gcn", 0.1), ("sage", 0.1), ("gin", 0.1), ("gen", 0.1), ("gatv2", 0.0)]
)
@pytest.mark.parametrize("placement", [NoNorm(), Pre(), Post(), Sandwich()])
def test_so_does_a_branch_of_every_graph_convolution(conv, gain, placement):
    """Also where two maps are summed; values of attention change its weights too, but at zero."""
    given = {"conv": conv, "depth": 3, "width": 16, "heads": 2}
    drawn = GNN(6, 3, Residual, placement, **given)
    redraw(drawn, 0)
    model, x = copy.deepcopy(drawn), torch.randn(9, 16)
    ZeroLast(gain).apply(model)
    edges = model.prepare(torch.randint(0, 9, (2, 30)), 9)
    branches = zip(model.eval().body.branches, drawn.eval().body.branches, strict=True)
    for ours, theirs in branches:
        torch.testing.assert_close(ours(x, *edges), gain * theirs(x, *edges))


def test_deepnorm_leaves_queries_and_keys_as_wide_as_they_are():
    """Wang et al. 2022, figure 2: values, output and feed-forward have the gain beta."""
    model = Transformer(11, Residual, Post(), depth=6, width=64, heads=2, context=4)
    redraw(model, 0)
    DeepNorm().apply(model)
    beta = (4 * 12) ** -0.25
    for branch in model.body.branches[::2]:
        queries, keys, values = (part.std() for part in branch.core.qkv.weight.chunk(3))
        assert (keys / queries).item() == pytest.approx(1, rel=0.05)
        assert (values / queries).item() == pytest.approx(beta, rel=0.05)
