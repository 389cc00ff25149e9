"""U-Nets: a plain PyTorch twin, every connection in both slots, any image size, paired draws."""

import copy

import pytest
import torch
import torch.nn.functional as F
from conftest import ACTS, CONNECTIONS, Act
from torch import nn

from zoo.config.registry import factory, options
from zoo.connections.additive import Plain, Residual
from zoo.connections.projected import Concat
from zoo.models.layers.conv import UpConv
from zoo.models.layers.level import Level
from zoo.models.unet import UNet
from zoo.norm import NoNorm, Post, Pre, Sandwich
from zoo.seeding import branch_digest, redraw
from zoo.stack import Stack


def make(connect=Residual, long=Concat, placement=None, channels=1, classes=3, **changes):
    model = UNet(channels, classes, connect, long, placement or Post(), **{"depth": 2, **changes})
    redraw(model, 0)
    return model


def count(*args, **arguments):
    with torch.device("meta"):
        return sum(p.numel() for p in UNet(1, 3, *args, Post(), **arguments).parameters())


class Twin(nn.Module):
    """The original U-Net written out in plain PyTorch, with padding and batch norm."""

    def __init__(self, channels, classes, widths, activation):
        super().__init__()
        self.act = Act(activation)
        self.down, self.ups, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for ins, out in zip([channels, *widths], widths, strict=False):
            self.down.append(self.twice(ins, out))
        for below, out in reversed(list(zip(widths[1:], widths, strict=False))):
            self.ups.append(nn.ConvTranspose2d(below, out, 2, 2))
            self.up.append(self.twice(2 * out, out))
        self.head = nn.Conv2d(widths[0], classes, 1)

    def twice(self, ins, out):
        layers = []
        for width in (ins, out):
            conv = nn.Conv2d(width, out, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(out), self.act]
        return nn.Sequential(*layers)

    def forward(self, x):
        skips = []
        for block in self.down:
            x = block(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.ups, self.up, strict=True):
            x = block(torch.cat([up(x), skips.pop()], 1))
        return self.head(x)


@pytest.mark.parametrize("activation", ACTS)
def test_the_original_is_the_plain_pytorch_net(activation):
    """In double precision, so that only a real difference can be seen."""
    torch.manual_seed(0)
    changes = {"channels": 3, "depth": 3, "width": 4, "activation": activation}
    ours = make(Plain, Concat, **changes).double()
    twin = Twin(3, 3, [4, 8, 16, 32], activation).double()
    values = iter(in_order(ours))
    for module in in_order(twin):
        module.load_state_dict(next(values).state_dict())
    assert next(values, None) is None
    x = torch.randn(2, 3, 16, 24, dtype=torch.double)
    torch.testing.assert_close(ours(x), twin(x))
    grads = []
    for model in (ours, twin):
        model(x).square().mean().backward()
        grads.append([module.weight.grad for module in in_order(model)])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("placement", [NoNorm, Pre, Sandwich, Post])
def test_an_activation_stands_at_every_place(placement):
    models = [make(placement=placement(), activation=name) for name in ("relu", "gelu")]
    kinds = [[type(m) for m in model.modules()] for model in models]
    assert kinds[1] == [nn.GELU if kind is nn.ReLU else kind for kind in kinds[0]]
    assert nn.ReLU in kinds[0]


def in_order(model):
    """Layers with weights in the order in which they are called."""
    seen = []
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    hooks = [
        module.register_forward_hook(lambda module, *_: seen.append(module))
        for module in model.modules()
        if isinstance(module, kinds)
    ]
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 16, 16, dtype=dtype))
    for hook in hooks:
        hook.remove()
    model.train()
    return seen


def test_parameter_counts():
    """Without norms' shares: Ronneberger et al. 2015 at width 64 has 31.0 million."""
    assert f"{count(Plain, Concat, width=64) / 1e6:.1f}" == "31.0"
    assert count(Residual, Plain) == count(Residual, Residual)
    assert count(Residual, Concat) > count(Plain, Concat) > count(Plain, Plain)


@pytest.mark.parametrize("long", CONNECTIONS)
def test_every_connection_in_the_long_slot(long):
    check(make(long=factory("connection", long, options("connection", long))), make(long=Plain))


@pytest.mark.parametrize("short", CONNECTIONS)
def test_every_connection_in_the_short_slot(short):
    connect = factory("connection", short, options("connection", short))
    check(make(connect, blocks=2, width=4), make(Plain, blocks=2, width=4))


def check(model, plain):
    """Two steps train every parameter, from branches that are those of the other model."""
    assert branch_digest(model) == branch_digest(plain)
    x, y = torch.randn(2, 1, 8, 8), torch.randint(3, (2, 8, 8))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(2):
        loss = F.cross_entropy(model(x), y)
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not unused


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 5), (8, 8), (33, 18)])
def test_any_size(size):
    model = make().eval()
    x = torch.randn(2, 1, *size)
    y = model(x)
    assert y.shape == (2, 3, *size)
    height, width = (-(-side // 4) * 4 for side in size)
    rows, columns = (
        (torch.arange(whole) - (whole - side) // 2).clamp(0, side - 1)
        for side, whole in zip(size, (height, width), strict=True)
    )
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    padded = model(x[:, :, rows][..., columns])
    torch.testing.assert_close(y, padded[:, :, top : top + size[0], left : left + size[1]])


def test_sites_are_counted_as_they_are_passed():
    model = make(blocks=2, depth=3)
    passed = []
    for module in model.modules():
        if isinstance(module, Stack):
            for branch, rule in zip(module.branches, module.sites, strict=True):
                branch.register_forward_hook(lambda *_, site=rule.site: passed.append(site.index))
    model(torch.randn(2, 1, 16, 16))
    assert passed == list(range(13))
    sites = [m.site.site for m in model.modules() if isinstance(m, Level)]
    assert [(site.index, site.total) for site in sites] == [(0, 3), (1, 3), (2, 3)]


def test_long_skips_are_cut_by_level():
    """With nothing below it, a level passes its image on where it has a long skip."""
    for at, differs in (([0], True), ([1], False), ([], False), (None, True)):
        model = make(long=Residual, long_at=at).eval()
        nn.init.zeros_(model.body.inner.up.weight)
        nn.init.zeros_(model.body.inner.up.bias)
        first, second = model(torch.randn(2, 1, 8, 8))
        assert torch.equal(first, second) != differs


def test_draws_of_shared_channels_are_equal_and_the_rest_is_concats_own():
    wide, narrow = make(long=Concat), make(long=Residual)
    first, other = (m.body.leave.branches[0].layer0.weight for m in (wide, narrow))
    assert first.shape[1] == 2 * other.shape[1]
    assert torch.equal(first[:, : other.shape[1]], other)
    assert branch_digest(wide) == branch_digest(narrow)


@pytest.mark.parametrize("placement", [NoNorm, Pre, Sandwich, Post])
@pytest.mark.parametrize("norm", ["batch", "group", "layer"])
def test_norms(placement, norm):
    models = [make(Residual, long, placement(), norm=norm) for long in (Concat, Plain)]
    assert branch_digest(models[0]) == branch_digest(models[1])
    assert models[0](torch.randn(2, 1, 8, 8)).shape == (2, 3, 8, 8)
    norms = [m for m in models[0].modules() if isinstance(m, (nn.BatchNorm2d, nn.GroupNorm))]
    assert bool(norms) == (placement is not NoNorm)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("up", ["conv", "nearest"])
def test_shortcuts_and_ups(shortcut, up):
    model = make(shortcut=shortcut, up=up, blocks=2, width=[4, 6, 7], dropout=0.5)
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 3, 8, 8)
    assert any(isinstance(m, UpConv) for m in model.modules()) == (up == "conv")


def test_dropout_acts_in_training_alone():
    model, x = make(dropout=0.5, norm="group"), torch.randn(1, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_checkpointing_gives_the_same_gradients():
    model = make(blocks=2)
    twin = copy.deepcopy(model)
    for module in twin.modules():
        if isinstance(module, Stack):
            module.checkpoint = True
    x = torch.randn(2, 1, 8, 8)
    for each in (model, twin):
        each(x).square().mean().backward()
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": [4, 8]}, "needs 3 numbers at depth=2"),
        ({"long_at": [2]}, "levels go from 0 to 1"),
    ],
)
def test_impossible_nets_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        make(**changes)
