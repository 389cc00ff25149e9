"""What a rule for the start of branches changes, and what it leaves as drawn."""

import copy

import pytest
from torch import nn

from zoo.branch_init import DeepNorm, ZeroLast
from zoo.connections.additive import Residual
from zoo.init import redraw
from zoo.models.cnn import CNN
from zoo.models.transformer import Transformer
from zoo.norm import NoNorm, Post, Pre, Sandwich


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
