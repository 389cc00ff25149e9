"""Lesions of nets whose remains are known, and what is left of the gradient by paths."""

import math

import pytest
import torch
from foreign_nets import FOREIGN, SkipMLP, mean_size
from torch import nn

from tasks.training.build import build_task
from zoo.config import registry
from zoo.config.compose import load
from zoo.connection import Site
from zoo.connections.additive import Plain, Residual
from zoo.probes.stream.lesion import lesions, random_sets, swaps
from zoo.probes.stream.paths import gradient_paths
from zoo.stack import Stack

WIDTH, DEPTH = 4, 5


def total(net, x):
    return net(x).sum()


class Times(nn.Module):
    """a times its input."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.double))

    def forward(self, x):
        return self.a * x


def scales(rule, factors):
    sites = [rule(site) for site in Site.line(1, len(factors))]
    return Stack([Times(a) for a in factors], sites).double()


ONE = torch.ones(1, 1, dtype=torch.double)


def test_a_residual_net_loses_one_factor_and_a_plain_one_its_layer():
    residual = lesions(scales(Residual, [1.0, 2.0, 3.0]), ONE, total)
    assert residual.intact == 2 * 3 * 4
    assert residual.losses.tolist() == [12, 8, 6]
    assert residual.names == ["sites.0", "sites.1", "sites.2"]
    plain = lesions(scales(Plain, [1.0, 2.0, 3.0]), ONE, total)
    assert plain.losses.tolist() == [6, 3, 2]
    dead = lesions(scales(Plain, [1.0, 2.0, 3.0]), ONE, total, how="zero")
    assert dead.losses.tolist() == [0, 0, 0]


def test_branches_are_removed_together():
    net = scales(Residual, [1.0, 2.0, 3.0])
    found = lesions(net, ONE, total, [{0, 2}, {0, 1, 2}, set()])
    assert found.losses.tolist() == [3, 1, 24]
    assert found.names[0] == "sites.0, sites.2"


def test_a_history_tells_a_branch_that_was_never_there_from_one_that_said_nothing():
    """Attention with equal weights takes the mean of fewer entries, or of a zero among them."""
    net, x = fresh("attention")
    never, silent = (lesions(net, x, total, how=how) for how in ("skip", "zero"))
    assert (never.losses != silent.losses).all()


def fresh(rule, branches=4):
    torch.manual_seed(0)
    connect = registry.factory("connection", rule, {})
    sites = [connect(site) for site in Site.line(8, branches)]
    return Stack([nn.Linear(8, 8) for _ in range(branches)], sites).eval(), torch.randn(3, 8)


@pytest.mark.parametrize("rule", registry.names("connection"))
def test_every_rule_can_be_lesioned(rule):
    net, x = fresh(rule)
    found = lesions(net, x, total, how="zero")
    assert found.losses.isfinite().all()
    assert len(found.losses) == 4
    if rule not in ("dense", "denseformer"):
        assert lesions(net, x, total).losses.isfinite().all()


@pytest.mark.parametrize("rule", ["dense", "denseformer"])
def test_a_history_with_a_coefficient_for_every_entry_lacks_none(rule):
    with pytest.raises(ValueError, match="how='zero'"):
        lesions(*fresh(rule), total)


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_nets_are_lesioned_with_their_skips_kept(name):
    make, batch, where = FOREIGN[name]
    net, x = make().eval(), batch()
    found = lesions(net, x, mean_size)
    assert found.names == where
    assert (found.losses != found.intact).all()
    assert found.losses.isfinite().all()
    assert lesions(net, x, mean_size, [set()]).losses == found.intact


def test_without_all_its_branches_a_net_is_its_embedding():
    net, x = SkipMLP().eval(), torch.randn(2, 5, 8)
    found = lesions(net, (x,), mean_size, [{0, 1, 2, 3}])
    expected = (net.embed(x) + net.position).abs().mean()
    torch.testing.assert_close(found.losses[0].float(), expected)


def test_swapping_two_branches_is_swapping_them_by_hand():
    torch.manual_seed(0)
    make = lambda: [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(3)]  # noqa: E731
    branches = make()
    sites = [Residual(site) for site in Site.line(WIDTH, 3)]
    net, x = Stack(branches, sites), torch.randn(2, WIDTH)
    found = swaps(net, x, total)
    other = Stack([branches[0], branches[2], branches[1]], sites)
    assert found.losses[1].float() == total(other, x)
    assert found.intact.float() == total(net, x)
    assert [id(branch) for branch in net.branches] == [id(branch) for branch in branches]


def test_random_sets_have_their_size_and_repeat():
    sets = random_sets(6, 3, 20, seed=1)
    assert {len(each) for each in sets} == {3}
    assert set().union(*sets) == set(range(6))
    assert sets == random_sets(6, 3, 20, seed=1) != random_sets(6, 3, 20, seed=2)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_paths_of_a_linear_net_are_binomial(factor):
    paths = gradient_paths(scales(Residual, [factor] * DEPTH), ONE, total)
    assert paths.count.tolist() == [math.comb(DEPTH, k) for k in range(DEPTH + 1)]
    assert paths.gradient.tolist() == pytest.approx([factor**k for k in range(DEPTH + 1)])
    whole = sum(paths.count * paths.gradient)
    assert whole == pytest.approx((1 + factor) ** DEPTH)
    assert paths.effective_length == pytest.approx(DEPTH * factor / (1 + factor))


def test_a_plain_net_has_one_path_through_all_branches():
    paths = gradient_paths(scales(Plain, [0.5] * 3), ONE, total)
    assert paths.gradient.tolist() == pytest.approx([0, 0, 0, 0.125])
    assert paths.effective_length == pytest.approx(3)


def test_paths_of_a_foreign_net_are_those_of_its_sums():
    class ByHand(nn.Module):
        def __init__(self):
            super().__init__()
            self.branches = nn.ModuleList(Times(0.5) for _ in range(3))

        def forward(self, x):
            for branch in self.branches:
                x = x + branch(x)
            return x

    paths = gradient_paths(ByHand(), ONE, total)
    assert paths.gradient.tolist() == pytest.approx([0.5**k for k in range(4)])


def test_lesions_of_a_unet_stand_at_the_path_of_their_write():
    """What is lost without a branch is what is lost where a hook silences that branch."""
    words = ["task=unet", "connection=residual", "long=residual", "model.depth=2", "model.width=4"]
    small = ["data.train=4", "data.val=2", "data.test=2", "data.size=16", "data.batch_size=2"]
    net = build_task(load([*words, *small])[0]).model.double().eval()
    images = torch.randn(2, 1, 16, 16, dtype=torch.double)
    found = lesions(net, images, total, how="zero")
    inside = [i for i, name in enumerate(found.names) if ".sites." in name]
    assert len(inside) > 3
    for i in inside:
        branch = net.get_submodule(found.names[i].replace(".sites.", ".branches."))
        handle = branch.register_forward_hook(lambda module, args, out: torch.zeros_like(out))
        torch.testing.assert_close(found.losses[i], total(net, images).detach())
        handle.remove()
