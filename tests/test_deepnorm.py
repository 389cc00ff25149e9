"""DeepNorm as published: Xavier's draws of the branches, in pairs, and the carry beside them."""

import pytest
import torch
from conftest import CONNECTIONS
from small_runs import weights
from torch import nn

from zoo.cli.main import main
from zoo.config.compose import load
from zoo.config.registry import factory, options
from zoo.connections.additive import Plain, Residual
from zoo.connections.projected import Concat
from zoo.init import DeepNorm
from zoo.models.cnn import CNN
from zoo.models.diffusion import Diffusion
from zoo.models.gnn import GNN
from zoo.models.layers.time import ImageAttention
from zoo.models.transformer import Transformer
from zoo.models.unet import UNet
from zoo.norm import NoNorm, Post, Pre
from zoo.seeding import branch_digest, redraw


def started(model, seed=0):
    redraw(model, seed)
    DeepNorm().apply(model, seed)
    return model


def transformer(connect=Residual, **given):
    return Transformer(11, connect, Post(), depth=6, width=96, heads=4, **given)


def spread(weight, gain):
    """The standard deviation of a weight as a share of Xavier's with a gain."""
    out, ins = weight.shape[0] * weight[0, 0].numel(), weight[0].numel()
    return weight.std().item() / (gain * (2 / (ins + out)) ** 0.5)


@pytest.mark.parametrize("feedforward", ["gelu", "swiglu"])
def test_the_draws_of_figure_2(feedforward):
    """Six blocks: beta = (8 N)^(-1/4) = 48^(-1/4) for values, outputs and feed-forward maps."""
    model, beta = started(transformer(feedforward=feedforward)), 48**-0.25
    for attention, feed in zip(*[iter(model.body.branches)] * 2, strict=True):
        q, k, v = attention.core.qkv.weight.chunk(3)
        maps = feed.core.inner.weight.chunk(2 if feedforward == "swiglu" else 1)
        found = [spread(q, 1), spread(k, 1)]
        found += [spread(w, beta) for w in (v, attention.core.out.weight, *maps)]
        found.append(spread(feed.core.out.weight, beta))
        assert found == pytest.approx([1.0] * len(found), rel=0.04)
        assert not attention.core.qkv.bias.any()


def test_the_preset_has_the_carry_and_the_norms_of_the_paper():
    """Twelve blocks: alpha = (2 N)^(1/4) = 24^(1/4), a norm after every write."""
    config, _ = load(["task=transformer", "preset=deepnorm", "model.depth=12"])
    make = config.factory("model")
    placement = config.factory("norm")()
    model = make(11, connect=config.factory("connection"), norm_placement=placement)
    assert [connection.state_scale for connection in model.body.sites] == pytest.approx(
        [24**0.25] * 24
    )
    assert {connection.branch_scale for connection in model.body.sites} == {1.0}
    assert all(isinstance(post, nn.LayerNorm) for post in model.body.posts)
    assert type(config.factory("init")()) is DeepNorm


@pytest.mark.parametrize("name", CONNECTIONS)
def test_every_connection_has_the_same_draws(name):
    model = started(transformer(factory("connection", name, options("connection", name))))
    assert branch_digest(model) == branch_digest(started(transformer(Plain)))
    assert branch_digest(model) != branch_digest(started(transformer(Plain), 1))


@pytest.mark.parametrize("net", ["unet", "diffusion"])
def test_channels_that_not_every_arm_has_change_no_draw(net):
    """A long skip that concatenates gives the next unit more channels."""
    found = set()
    for long in (Concat, Plain, Residual):
        if net == "unet":
            model = UNet(1, 3, Residual, long, Post(), depth=2)
        else:
            model = Diffusion(2, 3, Residual, long, Pre(), depth=2, width=8, attention_at=[0])
        found.add(branch_digest(started(model)))
    assert len(found) == 1


def test_images_and_graphs():
    """Three writes: beta = 12^(-1/4); the fans of a convolution count its window."""
    beta = 12**-0.25
    branches = started(CNN(3, 10, Residual, Post(), depth=8, width=[32])).body.branches
    assert spread(branches[2].layer1.weight, beta) == pytest.approx(1, rel=0.04)
    for conv in ("gcn", "sage", "gatv2", "gin", "gen"):
        net = GNN(6, 3, Residual, NoNorm(), depth=3, width=64, conv=conv, heads=1)
        found = [
            spread(module.weight, beta)
            for module in started(net).body.branches[1].modules()
            if getattr(getattr(module, "weight", None), "ndim", 0) == 2
        ]
        assert found
        assert found == pytest.approx([1.0] * len(found), rel=0.06)


def test_queries_of_images_have_gain_one():
    net = started(Diffusion(2, 3, Residual, Concat, Pre(), depth=1, width=64))
    (attention,) = [m for m in net.modules() if isinstance(m, ImageAttention)]
    q, k, v = attention.qkv.weight.chunk(3)
    beta = (4 * 6) ** -0.25  # a block in, three branches in the middle, two blocks out
    assert [spread(q, 1), spread(k, 1), spread(v, beta)] == pytest.approx([1] * 3, rel=0.06)


def test_a_run_draws_with_its_own_seed(tmp_path):
    words = ["task=transformer", "preset=deepnorm", "model.depth=1", "model.width=16", "seed=3"]
    words += ["trainer.max_steps=1", "optimizer.lr=1e-12", "optimizer.min_lr=0", "logger=none"]
    assert main(["fit", *words, "optimizer.weight_decay=0", f"run.dir={tmp_path / 'run'}"]) == 0
    name = "body.branches.0.core.qkv.weight"
    (found,) = [value for key, value in weights(tmp_path / "run").items() if key.endswith(name)]
    expected = started(Transformer(11, Plain, Post(), depth=1, width=16), 3).get_parameter(name)
    torch.testing.assert_close(found, expected.detach(), atol=1e-9, rtol=0)
