"""The net of preset=cifar94 and its parts: a plain PyTorch twin, whitening, pooling, identities."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.config.compose import load
from zoo.config.registry import factory, names, options
from zoo.connections.additive import Plain, Residual
from zoo.errors import ConfigError
from zoo.init import Dirac, ZeroLast
from zoo.models.cnn import CNN
from zoo.models.layers.whitened import FLOOR, WhitenedConv
from zoo.models.transformer import Transformer
from zoo.norm import Post, Pre
from zoo.seeding import branch_digest, redraw


def make(connect=Plain, placement=None, channels=3, **changes):
    model = CNN(channels, 10, connect, placement or Post(), **{"depth": 8, "width": [4], **changes})
    redraw(model, 0)
    return model


class Twin(nn.Module):
    """The net of Jordan 2024, arXiv:2404.00498, section 3, written out in plain PyTorch."""

    def __init__(self):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        widths = [24, 64, 256, 256]
        self.groups = nn.ModuleList()
        for ins, out in itertools.pairwise(widths):
            self.groups.append(
                nn.Sequential(
                    nn.Conv2d(ins, out, 3, padding=1, bias=False),
                    nn.MaxPool2d(2),
                    nn.BatchNorm2d(out),
                    nn.GELU(),
                    nn.Conv2d(out, out, 3, padding=1, bias=False),
                    nn.BatchNorm2d(out),
                    nn.GELU(),
                )
            )
        self.head = nn.Linear(256, 10)

    def forward(self, x):
        x = F.gelu(self.whiten(x))
        for group in self.groups:
            x = group(x)
        return self.head(F.max_pool2d(x, 3).flatten(1)) / 9


def test_the_preset_s_net_is_the_published_one():
    config, _ = load(["task=cnn", "preset=cifar94"])
    connect, placement = config.factory("connection"), config.factory("norm")()
    ours = config.factory("model")(3, 10, connect=connect, norm_placement=placement).double()
    twin = Twin().double()
    for a, b in zip(twin.parameters(), ours.parameters(), strict=True):
        a.data.copy_(b)
    x = torch.randn(2, 3, 32, 32, dtype=torch.double)
    torch.testing.assert_close(ours(x), twin(x), rtol=1e-6, atol=1e-6)
    for model in (ours, twin):
        F.cross_entropy(model(x), torch.arange(2)).backward()
    frozen = 0
    for a, (name, b) in zip(twin.parameters(), ours.named_parameters(), strict=True):
        frozen += b.grad is None
        if b.grad is not None:
            torch.testing.assert_close(b.grad, a.grad, rtol=1e-5, atol=1e-9, msg=name)
    assert frozen == 1 + 6  # the filters, and the gain of every norm


def test_whitened_patches_are_uncorrelated():
    """Against NumPy: the second moment of the outputs is l / (l + floor) on the diagonal."""
    draws = np.random.default_rng(0)
    images = np.cumsum(draws.normal(size=(40, 3, 12, 12)), axis=3) / 3  # neighbours are alike
    conv = WhitenedConv(3)
    conv.whiten(torch.tensor(images, dtype=torch.float32))
    corners = [*itertools.product(range(11), range(11))]
    patches = np.array(
        [image[:, i : i + 2, j : j + 2].ravel() for image in images for i, j in corners]
    )
    values = np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1]
    outputs = conv(torch.tensor(images, dtype=torch.float32)).detach()
    assert torch.equal(outputs[:, 12:], -outputs[:, :12])
    rows = outputs[:, :12].movedim(1, -1).reshape(-1, 12).double().numpy()
    moment = rows.T @ rows / len(rows)
    np.testing.assert_allclose(moment, np.diag(values / (values + FLOOR)), atol=1e-3)


def test_whitening_is_not_rounded_by_autocast():
    conv, x = WhitenedConv(3), torch.randn(2, 3, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(conv(x), conv.float()(x))
        assert conv(x).dtype == torch.float32


def test_a_whitened_stem_is_of_small_images():
    with pytest.raises(ValueError, match="stem=whitened is an option of form=cifar"):
        make(form="imagenet", depth=18, width=[4, 4, 4, 4], stem="whitened")


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("name", names("connection"))
def test_every_connection_over_pooled_stages_of_odd_sides(name, shortcut):
    connect = factory("connection", name, options("connection", name))
    shape = {"depth": 14, "width": [8, 8], "shortcut": shortcut, "pool": True, "stem": "whitened"}
    model = make(connect, **shape)
    assert branch_digest(model) == branch_digest(make(**shape))
    loss = F.cross_entropy(model(torch.randn(4, 3, 16, 16)), torch.arange(4))  # 15, 7, 3
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_a_shortcut_beside_pooling_is_the_mean_of_each_window():
    model = make(Residual, width=[12], pool=True, stem="whitened", channels=1)
    nn.init.zeros_(model.body.branches[0].norm1.weight)
    x = torch.randn(2, 8, 7, 7)
    first = model.body.values(x)[1]
    expected = F.relu(F.avg_pool2d(x, 2))
    torch.testing.assert_close(first, F.pad(expected, (0, 0, 0, 0, 0, 4)))


def test_images_that_cannot_be_halved_are_one_line():
    with pytest.raises(ConfigError, match="1 x 1 pixels cannot be halved"):
        make(width=[4, 4, 4], pool=True)(torch.randn(2, 3, 4, 4))


@pytest.mark.parametrize("placement", [Pre, Post])
def test_a_shift_keeps_its_gain_where_branches_start_at_zero(placement):
    """ZeroLast takes the last weights that learn, so that the branch comes alive."""
    model = make(Residual, placement(), norm="batch_shift", width=[8])
    ZeroLast().apply(model)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.weight.eq(1).all()
        assert not norm.weight.requires_grad
    for branch in model.body.branches:
        assert branch.layer1.weight.abs().max() == 0
    F.cross_entropy(model(torch.randn(4, 3, 8, 8)), torch.arange(4)).backward()
    assert all(branch.layer1.weight.grad.abs().max() > 0 for branch in model.body.branches)


def test_dirac_hands_the_first_channels_on():
    model = make(width=[4, 8], depth=6, placement=Pre())
    before = [branch.layer0.weight.clone() for branch in model.body.branches]
    Dirac().apply(model)
    for branch, drawn in zip(model.body.branches, before, strict=True):
        x = torch.randn(2, branch.layer0.in_channels, 6, 6)
        y = F.conv2d(x, branch.layer0.weight, padding=1)
        torch.testing.assert_close(y[:, : x.shape[1]], x)
        assert torch.equal(branch.layer0.weight[x.shape[1] :], drawn[x.shape[1] :])
    grouped = make(width=[8], depth=5, block="bottleneck", groups=2, base_width=64)
    Dirac().apply(grouped)
    x = torch.randn(2, 16, 6, 6)
    torch.testing.assert_close(grouped.body.branches[0].layer1(x), x)


def test_dirac_is_an_identity_in_each_of_several_maps():
    model = Transformer(11, Plain, Pre(), depth=1, width=8, heads=2, context=4)
    redraw(model, 0)
    Dirac().apply(model)
    (fused,) = [m for m in model.modules() if getattr(m, "maps", 1) == 3]
    for rows in fused.weight.chunk(3):
        assert torch.equal(rows, torch.eye(8))
