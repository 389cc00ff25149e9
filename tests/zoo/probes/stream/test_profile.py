"""Sizes and gradients by depth, of nets whose own are known."""

import math

import pytest
import torch
from foreign_nets import FOREIGN, SkipMLP, mean_size
from torch import nn

from tasks.training.build import build_task
from zoo.config.compose import load
from zoo.connection import Connection, Site
from zoo.connections.additive import Plain, Residual
from zoo.probes.stream.profile import stream_profile
from zoo.stack import Stack

WIDTH, DEPTH = 6, 5


def linear_stack(rule):
    torch.manual_seed(1)
    branches = [nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(DEPTH)]
    return Stack(branches, [rule(site) for site in Site.line(WIDTH, DEPTH)]).double()


def total(net, x):
    return net(x).square().sum()


@pytest.mark.parametrize("rule", [Residual, Plain])
def test_gradients_of_a_linear_net_are_products_of_its_jacobians(rule):
    net, x = linear_stack(rule), torch.randn(3, WIDTH, dtype=torch.double)
    profile = stream_profile(net, x, total)
    skip = torch.eye(WIDTH) if rule is Residual else torch.zeros(WIDTH, WIDTH)
    with torch.no_grad():
        gradient = 2 * net(x)
        norms, branches = [gradient.norm()], []
        for branch in reversed(net.branches):
            branches.append((gradient @ branch.weight).norm())
            gradient = gradient @ (branch.weight + skip.double())
            norms.append(gradient.norm())
    torch.testing.assert_close(profile.gradient, torch.stack(norms[::-1]))
    torch.testing.assert_close(profile.branch_gradient, torch.stack(branches[::-1]))


def test_sizes_are_those_of_the_values():
    net, x = linear_stack(Residual), torch.randn(3, WIDTH, dtype=torch.double)
    profile = stream_profile(net, x, total)
    with torch.no_grad():
        values = net.values(x)
        written = [branch(value) for branch, value in zip(net.branches, values, strict=False)]
    size = lambda v: v.square().mean().sqrt()  # noqa: E731
    torch.testing.assert_close(profile.stream, torch.stack([size(v) for v in values]))
    torch.testing.assert_close(profile.branch, torch.stack([size(v) for v in written]))
    angles = [torch.cosine_similarity(a, b).mean() for a, b in zip(values, written, strict=False)]
    torch.testing.assert_close(profile.cosine, torch.stack(angles))
    assert profile.ratio[0] == profile.branch[0] / profile.stream[0]


class ByHand(nn.Module):
    """The same as a stack, without any of its classes."""

    def __init__(self, stack):
        super().__init__()
        self.branches = stack.branches

    def forward(self, x):
        for branch in self.branches:
            x = x + branch(x)
        return x


def test_a_net_written_by_hand_has_the_profile_of_the_same_stack():
    net, x = linear_stack(Residual), torch.randn(3, WIDTH, dtype=torch.double)
    ours, theirs = stream_profile(net, x, total), stream_profile(ByHand(net), x, total)
    for name in ("stream", "branch", "cosine", "gradient", "branch_gradient"):
        torch.testing.assert_close(getattr(theirs, name), getattr(ours, name))


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_nets_have_all_sizes_and_gradients(name):
    make, batch, where = FOREIGN[name]
    profile = stream_profile(make(), batch(), mean_size)
    assert profile.modules == where
    assert profile.stream.isfinite().all()
    assert (profile.gradient > 0).all()


def test_a_stream_of_identities_doubles_at_every_write():
    net = Stack([nn.Identity()] * 3, [Residual(site) for site in Site.line(4, 3)])
    profile = stream_profile(net, torch.ones(1, 4), lambda net, x: net(x).sum())
    assert profile.stream.tolist() == [1, 2, 4, 8]
    assert profile.gradient.tolist() == [16, 8, 4, 2]
    assert profile.cosine.tolist() == pytest.approx([1] * 3)


def test_numbers_do_not_depend_on_the_precision_of_the_sums():
    net, x = SkipMLP(), torch.full((2, 5, 8), 1e25)
    profile = stream_profile(net, (x,), lambda net, batch: net(*batch).mean())
    assert math.isfinite(profile.stream[0])


def test_a_net_without_a_skip_is_refused():
    with pytest.raises(ValueError, match="no skip"):
        stream_profile(nn.Linear(4, 4), torch.ones(2, 4), total)


def rms(x):
    return x.detach().square().mean().sqrt()


@pytest.mark.parametrize("rule", ["plain", "residual"])
def test_what_follows_a_write_belongs_to_the_stream_after_it(rule):
    """In a ResNet with a ReLU after every write, x_l is what the next branch reads."""
    task = build_task(load(["task=cnn", "model.depth=8", f"connection={rule}", "model.width=4"])[0])
    net, images = task.model.double().train(), torch.randn(8, 1, 8, 8, dtype=torch.double)
    profile = stream_profile(net, images, total)
    values = net.body.values(net.stem(images))
    gradients = torch.autograd.grad(net.head(values[-1].mean((2, 3))).square().sum(), values)
    torch.testing.assert_close(profile.stream, torch.stack([rms(value) for value in values]))
    torch.testing.assert_close(profile.gradient, torch.stack([g.norm() for g in gradients]))
    assert (profile.branch_gradient <= profile.gradient[:-1] * 1.0001).all() or rule == "residual"


def test_writes_inside_of_branches_come_before_the_write_around_them():
    """In a U-Net each number stands at the path of its own write."""
    words = ["task=unet", "connection=residual", "long=residual", "model.depth=2", "model.width=4"]
    small = ["data.train=4", "data.val=2", "data.test=2", "data.size=16", "data.batch_size=2"]
    net = build_task(load([*words, *small])[0]).model.double()
    images, seen, order = torch.randn(2, 1, 16, 16, dtype=torch.double), {}, []

    def note(name):
        def hook(connection, args, out):
            order.append(name)
            if connection.site.out is None:  # else it is taken as the skip brings it
                seen[name] = rms(args[0])

        return hook

    handles = [
        part.register_forward_hook(note(name))
        for name, part in net.named_modules()
        if isinstance(part, Connection)
    ]
    net(images)
    for handle in handles:
        handle.remove()
    profile = stream_profile(net, images, total)
    assert profile.modules == order
    sizes = dict(zip(order, profile.stream, strict=False))
    assert len(seen) > 3
    torch.testing.assert_close({name: sizes[name] for name in seen}, seen)
