"""Diffusion U-Nets: diffusers' network as the reference, and every rule in both slots."""

import pytest
import torch

from tasks.diffusion.unet2d import unet_of
from zoo.config.registry import factory, options
from zoo.connections.additive import Plain, Residual
from zoo.connections.projected import Concat
from zoo.errors import ConfigError
from zoo.models.diffusion import Diffusion
from zoo.norm import NoNorm, Post, Pre, Sandwich
from zoo.seeding import branch_digest, redraw

TINY = {"depth": 2, "width": [4, 8], "blocks": 1, "groups": 2}


def make(connect=Residual, long=Concat, placement=None, channels=2, classes=3, **changes):
    model = Diffusion(channels, classes, connect, long, placement or Pre(), **{**TINY, **changes})
    redraw(model, 0)
    torch.nn.init.constant_(model.head.weight, 0.1)  # it starts at zero
    return model.eval()


def rule(name):
    return factory("connection", name, options("connection", name))


def test_ddpm_cifar10_has_the_published_count():
    """As diffusers' UNet2DModel with the configuration of google/ddpm-cifar10-32."""
    from diffusers import UNet2DModel

    from zoo.config.compose import load

    config, _ = load(["task=diffusion", "preset=ddpm_cifar10"])
    with torch.device("meta"):
        ours = config.factory("model")(
            channels=3, classes=10, connect=Residual, long=Concat, norm_placement=Pre()
        )
        theirs = UNet2DModel(
            sample_size=32,
            block_out_channels=(128, 256, 256, 256),
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=None,
            downsample_padding=0,
            flip_sin_to_cos=False,
            freq_shift=1,
            norm_eps=1e-6,
        )
    counts = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert counts == [35_746_307] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 4, "width": [8, 16, 16, 16], "blocks": 2, "attention_at": [1], "groups": 8},
        {"embedding": "film", "head_width": 4, "attention_at": [0, 1]},
        {"depth": 1, "width": 4},
    ],
)
def test_the_network_is_that_of_diffusers(changes):
    model = make(channels=3, **changes)
    for parameter in model.parameters():  # gains and biases that are not 1 and 0
        parameter.data += 0.1 * torch.randn_like(parameter)
    unet = unet_of(model, (3, 16, 16))
    ours, theirs = (sum(p.numel() for p in m.parameters()) for m in (model, unet))
    assert ours == theirs
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 700])
    with torch.no_grad():
        torch.testing.assert_close(model(x, t), unet(x, t).sample, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def plain_digest():
    return branch_digest(make(Plain, Plain, attention_at=[1]))


@pytest.mark.parametrize("placement", [NoNorm, Pre, Sandwich, Post])
@pytest.mark.parametrize("embedding", ["additive", "film"])
def test_placements_read_time_and_image(placement, embedding):
    model = make(placement=placement(), embedding=embedding)
    x = torch.randn(1, 2, 4, 4)
    first, second = model(x, torch.tensor([1])), model(x, torch.tensor([500]))
    assert not torch.allclose(first, second)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert bool(norms) == (placement is not NoNorm)


def test_a_fresh_network_predicts_nothing():
    model = Diffusion(2, 3, Residual, Concat, Pre(), **TINY)
    redraw(model, 0)
    assert model(torch.randn(1, 2, 4, 4), torch.tensor([5])).abs().max() == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (9, 4)])
def test_any_size(size):
    model = make(depth=3, width=4)
    x, t = torch.randn(1, 2, *size), torch.tensor([5])
    assert model(x, t).shape == x.shape


def test_without_skips_nothing_of_the_image_passes_dead_branches():
    """Plain short sites cut the stream: with branches of zero no image reaches the head."""
    model = make(Plain, Plain)
    for module in model.modules():
        if hasattr(module, "branches"):
            torch.nn.init.zeros_(module.branches[-1].layer1.weight)
    first, second = model(torch.randn(2, 2, 4, 4), torch.tensor([5, 5]))
    assert torch.equal(first, second)


def test_long_skips_of_chosen_levels():
    outer, cut = make(long_at=[0]), make(long=Plain)
    sites = [type(m.site) for m in outer.modules() if hasattr(m, "inner")]
    assert sites == [Concat, Concat, Plain, Plain]
    assert branch_digest(outer) == branch_digest(cut)


def test_classes_change_the_answer():
    model = make(conditional=True)
    x, t = torch.randn(1, 2, 4, 4).repeat(3, 1, 1, 1), torch.tensor([9, 9, 9])
    zero, two, none = model(x, t, torch.tensor([0, 2, 3]))
    assert not torch.allclose(zero, two)
    torch.testing.assert_close(model(x, t)[0], none)


def test_checkpointing_gives_the_same_gradients():
    x, t = torch.randn(2, 2, 4, 4), torch.tensor([1, 2])
    models = [make(checkpoint=value, attention_at=[1]) for value in (False, True)]
    for model in models:
        model(x, t).square().mean().backward()
    for (name, ours), theirs in zip(
        models[0].named_parameters(), models[1].parameters(), strict=True
    ):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"attention_at": [2]}, "attention_at"),
        ({"long_at": [0, 5]}, "long_at"),
        ({"head_width": 3}, "head_width=3"),
        ({"width": 3}, "first width"),
        ({"classes": None, "conditional": True}, "needs classes"),
    ],
)
def test_impossible_nets_are_refused(changes, word):
    with pytest.raises(ValueError, match=word):
        make(**changes)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"connect": Plain}, "connection"),
        ({"long": Residual}, "long"),
        ({"placement": Post()}, "norm"),
        ({"conditional": True}, "model.conditional"),
        ({"long_at": [0]}, "model.long_at"),
        ({"groups": 3}, "model.groups"),
    ],
)
def test_what_diffusers_cannot_express_is_named(changes, option):
    with pytest.raises(ConfigError, match=f"express {option} "):
        unet_of(make(**changes), (2, 4, 4))
