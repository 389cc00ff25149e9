"""Levels of a U-Net: a long site around the smaller net, under every connection."""

import itertools

import pytest
import torch
from conftest import CONNECTIONS, Convolution
from torch import nn

from tasks.training.build import build_task
from zoo.config.compose import load
from zoo.config.registry import build, factory, options
from zoo.connection import Site
from zoo.models.layers.conv import Conv
from zoo.models.layers.level import Level, long_site
from zoo.probes.mixing import net_mixing
from zoo.seeding import branch_digest, redraw
from zoo.stack import Stack


def make_level(name, width=4, out=4):
    site = long_site(factory("connection", name, options("connection", name)), width, out, 0, 2)
    leave = Conv(out, 3, 3, extra=site.gives - out)
    level = Level(Conv(2, width, 3), Conv(width, out, 3), leave, site)
    redraw(level, 0)
    return level.eval()


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("out", [4, 6, 3])
def test_every_rule_carries_past_a_level(name, out):
    level, x = make_level(name, 4, out), torch.randn(2, 2, 6, 6)
    assert level(x).shape == (2, 3, 6, 6)
    assert branch_digest(level) == branch_digest(make_level("plain", 4, out))


def test_plain_cuts_the_level_and_residual_adds():
    plain, residual, x = make_level("plain"), make_level("residual"), torch.randn(2, 2, 6, 6)
    h = plain.enter(x)
    torch.testing.assert_close(plain(x), plain.leave(plain.inner(h)))
    torch.testing.assert_close(residual(x), residual.leave(residual.inner(h) + h))


def test_concat_reads_the_inner_net_first_and_then_the_skip():
    level, plain, x = make_level("concat", 4, 6), make_level("plain", 4, 6), torch.randn(2, 2, 6, 6)
    assert level.site.gives == 10
    h = level.enter(x)
    torch.testing.assert_close(level(x), level.leave(torch.cat([level.inner(h), h], 1)))
    torch.testing.assert_close(level.leave.weight[:, :6], plain.leave.weight)


def test_residual_pads_the_skip_with_zeros_where_the_inner_net_is_wider():
    level, x = make_level("residual", 4, 6), torch.randn(2, 2, 6, 6)
    h = level.enter(x)
    padded = torch.cat([h, torch.zeros(2, 2, 6, 6)], 1)
    torch.testing.assert_close(level(x), level.leave(level.inner(h) + padded))


def test_norms_of_extra_channels_are_left_out_of_the_digest():
    narrow, wide = nn.BatchNorm2d(4), nn.BatchNorm2d(10)
    wide.extra = 6
    assert branch_digest(nn.Sequential(narrow)) == branch_digest(nn.Sequential(wide))


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_wide_site_gives_the_channels_that_it_declares(name):
    make = factory("connection", name, options("connection", name))
    site = make(Site(width=4, wide=True))
    redraw(site, 0)
    state = site(site.open(torch.randn(5, 4)), nn.Linear(4, 4))
    assert site.close(state).shape == (5, site.gives)


@pytest.mark.parametrize("long", ["plain", "residual", "concat", "weighted"])
@pytest.mark.parametrize("short", ["plain", "residual", "denseformer"])
def test_the_mixing_of_a_net_with_levels_predicts_every_branch_input(short, long):
    """Two levels without a change of resolution; of a wide stream the mean of its halves."""
    made, seen, index = [torch.randn(1, 3, 4, 4)], [], itertools.count()

    def note(module, args, out):
        wide = args[0]
        seen.append(wide if wide.shape[1] == 3 else (wide[:, :3] + wide[:, 3:]) / 2)
        made.append(out)

    def stack(extra=0):
        number = next(index)
        site = Site(3 + extra, 3 if extra else None, number, 5, -3, number)
        branch = Convolution(3 + extra, 3)
        branch.register_forward_hook(note)
        rule = build("connection", short, site)
        return Stack([branch], [rule], [Halves() if extra and rule.carries else None])

    def level(number):
        rule = factory("connection", long, {"branch": 2.0} if long == "weighted" else {})
        site = long_site(rule, 3, 3, number, 2)
        enter = stack()
        inner = level(number + 1) if number == 0 else stack()
        return Level(enter, nn.Sequential(nn.Identity(), inner), stack(site.gives - 3), site)

    body = level(0)
    out = body(made[0])
    expected = torch.einsum("lj,j...->l...", net_mixing(body), torch.stack(made))
    torch.testing.assert_close(torch.stack([*seen, out]), expected, atol=1e-5, rtol=1e-4)


class Halves(nn.Module):
    """The mean of the two halves of the channels."""

    def forward(self, x):
        return (x[:, :3] + x[:, 3:]) / 2


@pytest.mark.parametrize("task", ["unet", "diffusion"])
def test_the_mixing_of_a_u_net_shows_its_long_sites(task):
    cut, joined = (
        net_mixing(build_task(load([f"task={task}", f"long={long}"])[0]).model)
        for long in ("plain", "residual")
    )
    assert torch.equal(cut, torch.ones_like(cut).tril())
    assert (joined >= cut).all()
    assert (joined[-1] > cut[-1]).any()
