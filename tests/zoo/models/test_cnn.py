"""Image networks: published parameter counts, a plain PyTorch twin, batches and augmentation."""

import copy
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ACTS, Act
from pytorch_lightning.plugins.layer_sync import TorchSyncBatchNorm
from torch import nn

from tasks.data.batches import ShuffledBatches
from tasks.data.images.augment import Augment
from zoo.config.registry import check as check_options
from zoo.config.registry import factory, names, options
from zoo.connections.additive import Plain, Residual
from zoo.errors import ConfigError
from zoo.init import GPT2, Fixup, ZeroLast
from zoo.models.cnn import CNN
from zoo.models.layers.conv import BatchNorm, by_batch
from zoo.norm import NoNorm, Post, Pre, Sandwich
from zoo.seeding import branch_digest, redraw

THREE = [16, 32, 64]
FOUR = [64, 128, 256, 512]


def make(connect=Residual, placement=None, channels=3, classes=10, **changes):
    model = CNN(channels, classes, connect, placement or Post(), **{"width": THREE, **changes})
    redraw(model, 0)
    return model


def count(*args, **arguments):
    with torch.device("meta"):
        model = CNN(3, arguments.pop("classes", 10), *args, **arguments)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("depth", "millions"),
    [
        *[(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.73")],
        pytest.param(1202, "19.4", marks=pytest.mark.slow),
    ],
)
def test_cifar_counts_of_he_2015(depth, millions):
    """Table 6, option A; the paper rounds 1.73 to 1.7."""
    parameters = count(Residual, Post(), depth=depth, width=THREE)
    decimals = len(millions.partition(".")[2])
    assert f"{parameters / 1e6:.{decimals}f}" == millions
    assert count(Plain, Post(), depth=depth, width=THREE) == parameters


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_imagenet_counts(depth, parameters):
    block = "basic" if depth < 50 else "bottleneck"
    changes = {"form": "imagenet", "block": block, "shortcut": "B", "width": FOUR, "classes": 1000}
    assert count(Residual, Post(), depth=depth, **changes) == parameters


@pytest.mark.parametrize(
    ("preset", "classes", "parameters"),
    [("wrn28_10", 10, 36_479_194), ("resnext50", 1000, 25_028_904), ("resnet", 10, 269_722)],
)
def test_counts_of_presets(preset, classes, parameters):
    from zoo.config.compose import load

    config, _ = load(["task=cnn", f"preset={preset}"])
    with torch.device("meta"):
        model = config.factory("model")(
            channels=3,
            classes=classes,
            connect=config.factory("connection"),
            norm_placement=config.factory("norm")(),
        )
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


class Twin(nn.Module):
    """ResNet-20 written out in plain PyTorch."""

    def __init__(self, activation):
        super().__init__()
        self.act = Act(activation)
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.ModuleList()
        for ins, out in itertools.pairwise(widths):
            self.blocks.append(
                nn.Sequential(
                    nn.Conv2d(ins, out, 3, out // ins, 1, bias=False),
                    nn.BatchNorm2d(out),
                    self.act,
                    nn.Conv2d(out, out, 3, 1, 1, bias=False),
                    nn.BatchNorm2d(out),
                )
            )
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.act(self.stem(x))
        for block in self.blocks:
            y = block(x)
            if y.shape[1] > x.shape[1]:
                x = x[:, :, ::2, ::2]
                x = torch.cat([x, torch.zeros_like(x)], 1)
            x = self.act(x + y)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("activation", ACTS)
def test_resnet_20_is_the_plain_pytorch_net(activation):
    """In double precision, so that only a real difference can be seen."""
    torch.manual_seed(0)
    ours, twin = make(depth=20, activation=activation).double(), Twin(activation).double()
    for a, b in zip(twin.parameters(), ours.parameters(), strict=True):
        a.data.copy_(b)
    x = torch.randn(4, 3, 32, 32, dtype=torch.double)
    torch.testing.assert_close(ours(x), twin(x))
    grads = []
    for model in (ours, twin):
        F.cross_entropy(model(x), torch.arange(4)).backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("placement", [NoNorm, Pre, Sandwich, Post])
@pytest.mark.parametrize(("name", "kind"), [("elu", nn.ELU), ("gelu", nn.GELU), ("silu", nn.SiLU)])
def test_an_activation_stands_at_every_place(placement, name, kind):
    """As many as ReLUs by default, and none of these."""

    def count(model, kind):
        return sum(isinstance(module, kind) for module in model.modules())

    for block, depth in (("basic", 8), ("bottleneck", 11)):
        changes = {"placement": placement(), "depth": depth, "block": block}
        model = make(**changes, activation=name)
        assert count(model, kind) == count(make(**changes), nn.ReLU) > 0
        assert count(model, nn.ReLU) == 0


def test_plain_has_no_shortcut_anywhere():
    """With branches that give zero nothing of the image reaches the head."""
    for shortcut in "ABC":
        model = make(Plain, depth=8, shortcut=shortcut).eval()
        for branch in model.body.branches:
            nn.init.zeros_(branch.layer1.weight)
        first, second = model(torch.randn(2, 3, 8, 8))
        assert torch.equal(first, second)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("name", names("connection"))
def test_every_connection_with_every_shortcut(name, shortcut):
    connect = factory("connection", name, options("connection", name))
    model = make(connect, depth=14, width=[8, 16], shortcut=shortcut)
    plain = make(Plain, depth=14, width=[8, 16], shortcut=shortcut)
    assert branch_digest(model) == branch_digest(plain)
    x, y = torch.randn(4, 3, 8, 8), torch.arange(4)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(2):
        loss = F.cross_entropy(model(x), y)
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unused = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert not unused


@pytest.mark.parametrize("placement", [NoNorm, Pre, Sandwich, Post])
@pytest.mark.parametrize("norm", ["batch", "group", "layer"])
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_norms_and_blocks(placement, norm, block):
    depth = 8 if block == "basic" else 11
    model = make(placement=placement(), depth=depth, norm=norm, block=block)
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 10)
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm2d, nn.GroupNorm))]
    assert bool(norms) == (placement is not NoNorm)


def test_checkpointing_gives_the_same_gradients():
    model = make(depth=8, width=[8, 16, 16])
    twin = copy.deepcopy(model)
    twin.body.checkpoint = True
    x = torch.randn(4, 3, 8, 8)
    for each in (model, twin):
        each(x).square().mean().backward()
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)
    for (name, ours), theirs in zip(model.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"depth": 21}, "depth=21 is not 6 n"),
        ({"depth": 2}, "8 is near"),
        ({"depth": 19, "form": "imagenet"}, "none of the ImageNet depths"),
        ({"depth": 50, "form": "imagenet"}, "block=bottleneck"),
        ({"depth": 18, "form": "imagenet"}, "4 widths"),
        ({"groups": 2}, "block=bottleneck"),
    ],
)
def test_impossible_nets_are_refused(changes, word):
    with pytest.raises(ValueError, match=word):
        make(**changes)


def test_width_is_checked():
    for wrong in ([], [0], "16"):
        with pytest.raises(ConfigError):
            check_options("model", "cnn", {"width": wrong})
    assert check_options("model", "cnn", {"width": 24}) == {"width": 24}


def test_synchronised_batch_norm_of_one_process_is_batch_norm(monkeypatch):
    """The reduction over one process is the identity; the rest must equal PyTorch's norm."""
    monkeypatch.setattr("torch.distributed.all_reduce", lambda sums: None)
    ours, theirs = BatchNorm(5), nn.BatchNorm2d(5)
    for norm in (ours, theirs):
        nn.init.constant_(norm.weight, 1.5)
        nn.init.constant_(norm.bias, -0.5)
    x = 3 + 2 * torch.randn(4, 5, 6, 6)
    torch.testing.assert_close(ours.synchronised(x), theirs(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var, atol=1e-5, rtol=1e-5)


# The start of branches.


def branches_of(rule, placement=None):
    model = make(placement=placement, depth=8)
    before = copy.deepcopy(model)
    rule().apply(model)
    return model, before


@pytest.mark.parametrize("placement", [NoNorm, Pre, Post])
def test_zero_last_makes_every_branch_zero(placement):
    model, _ = branches_of(ZeroLast, placement())
    x = torch.randn(2, 16, 8, 8)
    assert model.body.branches[0](x).abs().max() == 0


def test_fixup_scales_the_first_weights_and_zeroes_last_and_head():
    """Three branches of two weights: L^(-1 / 2)."""
    model, before = branches_of(Fixup, NoNorm())
    for ours, theirs in zip(model.body.branches, before.body.branches, strict=True):
        torch.testing.assert_close(ours.layer0.weight, theirs.layer0.weight / 3**0.5)
        assert ours.layer1.weight.abs().max() == 0
    assert model.head.weight.abs().max() == 0


def test_gpt2_divides_the_last_weights():
    model, before = branches_of(GPT2)
    old, new = before.body.branches[1], model.body.branches[1]
    torch.testing.assert_close(new.layer1.weight, old.layer1.weight / 3**0.5)
    assert torch.equal(new.layer0.weight, old.layer0.weight)


# Batches.


def test_a_pass_shows_every_example_once():
    order = ShuffledBatches(torch.arange(100, 164), 16, seed=0)
    batches = [order.batch(number) for number in range(8)]
    assert sorted(torch.cat(batches[:4]).tolist()) == list(range(100, 164))
    assert not torch.equal(torch.cat(batches[:4]), torch.cat(batches[4:]))


def test_batches_follow_from_their_number():
    first = dict(zip(range(30), ShuffledBatches(torch.arange(50), 8, seed=1), strict=False))
    later = ShuffledBatches(torch.arange(50), 8, seed=1, number=20)
    for number, (expected, batch) in zip(range(20, 30), later, strict=False):
        assert expected == number
        assert torch.equal(batch, first[number][1])


def test_augmentation_moves_every_image_by_its_own_window():
    augment = Augment(crop=2, flip=True)
    images = torch.randint(1, 255, (40, 3, 8, 8), dtype=torch.uint8)
    draws = augment.draw(0, 3, 40, 8, 8)
    moved = augment.crop_and_flip(images, draws, torch.arange(40))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
    for i in range(40):
        top, left = draws.window[:, i].tolist()
        window = padded[i, :, top : top + 8, left : left + 8]
        window = window[:, :, ::-1] if draws.flipped[i] else window
        assert np.array_equal(moved[i].numpy(), window)
    part = torch.arange(1, 40, 2)
    assert torch.equal(augment.crop_and_flip(images[part], draws, part), moved[part])


def test_cutout_blanks_one_square():
    augment = Augment(cutout=4)
    draws = augment.draw(0, 0, 20, 8, 8)
    images = augment.blank_square(torch.ones(20, 1, 8, 8), draws, torch.arange(20))
    holes = (images == 0).sum((1, 2, 3))
    assert holes.max() == 16
    assert holes.min() >= 4
    for image, (top, left) in zip(images[:, 0], draws.hole.T.tolist(), strict=True):
        assert image[top, left] == 0


def test_cutmix_leaves_the_share_that_it_says():
    augment = Augment(cutmix=1.0)
    for number in range(20):
        draws = augment.draw(0, number, 4, 16, 16)
        rows, columns = draws.box
        taken = (rows.stop - rows.start) * (columns.stop - columns.start)
        assert draws.share == pytest.approx(1 - taken / 256)


def test_mixup_shares_follow_the_beta_distribution():
    from scipy import stats

    shares = [Augment(mixup=0.4).draw(0, n, 2, 4, 4).share for n in range(400)]
    assert stats.kstest(shares, stats.beta(0.4, 0.4).cdf).pvalue > 0.01


@pytest.mark.parametrize("change", ["none", "apply", "revert"])
def test_a_copy_without_memory_norms_by_its_batch(change):
    """Also with the norms that Lightning gives a net on several GPUs, and afterwards."""
    net = CNN(1, 10, Residual, Post(), depth=8, width=[4])
    x = 3 + 5 * torch.randn(16, 1, 8, 8)
    expected = net.train()(x)
    net = net if change == "none" else TorchSyncBatchNorm().apply(net)
    net = TorchSyncBatchNorm().revert(net) if change == "revert" else net
    with torch.no_grad():
        assert not torch.allclose(net.eval()(x), expected, atol=1e-2)
        torch.testing.assert_close(by_batch(net)(x), expected.detach())
