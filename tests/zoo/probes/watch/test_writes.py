"""Every write of every net is seen, nothing else is taken for one, and the net stays as it was."""

import random

import numpy as np
import pytest
import torch
from foreign_nets import FOREIGN, SkipMLP, TanhGelu, mean_size
from small_domains import SMALL
from torch import nn

from tasks.training.build import build_task
from zoo.config import registry
from zoo.config.compose import load
from zoo.connection import Connection, Site
from zoo.connections.additive import Residual
from zoo.probes.stream.lesion import writes_of
from zoo.probes.stream.profile import stream_profile
from zoo.probes.watch.untouched import untouched
from zoo.probes.watch.watched import watched
from zoo.probes.watch.writes import Watch
from zoo.stack import Stack


def built(task, *words):
    """A task with a training batch."""
    made = build_task(load([f"task={task}", *SMALL[task], "trainer.accelerator=cpu", *words])[0])
    made.setup("fit")
    return made, next(iter(made.train_loader()))


def task_loss(task, batch):
    return task.loss(batch)


@pytest.mark.parametrize("name", FOREIGN)
def test_the_skips_of_a_foreign_net_are_found_where_they_are(name):
    make, batch, where = FOREIGN[name]
    assert writes_of(make(), batch(), mean_size) == where


@pytest.mark.parametrize("task", SMALL)
def test_every_rule_writes_as_often_as_it_has_connections(task):
    rules = registry.names("connection") if task in ("gnn", "unet") else ("residual", "reversible")
    for rule in rules:
        net, batch = built(task, f"connection={rule}")
        writes = writes_of(net, batch, task_loss)
        names = [name for name, part in net.named_modules() if isinstance(part, Connection)]
        assert sorted(writes) == sorted(names), rule


@pytest.mark.parametrize(
    "net",
    [
        TanhGelu(),
        nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(approximate="tanh")),
        nn.LSTM(8, 8),
        nn.MultiheadAttention(8, 2),
    ],
)
def test_sums_without_a_branch_are_no_writes(net):
    def total(net, x):
        out = net(x, x, x) if isinstance(net, nn.MultiheadAttention) else net(x)
        return (out[0] if isinstance(out, tuple) else out).sum()

    assert writes_of(net, torch.randn(5, 2, 8), total) == []


class Skip(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way, self.one, self.two = way, nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.way(x) + self.two(self.one(x).tanh())


@pytest.mark.parametrize(
    ("way", "names"),
    [
        (lambda x: x, []),
        (lambda x: x.detach(), ["detach"]),
        (lambda x: x.data, ["data"]),
        (lambda x: x.relu(), ["relu"]),
        (lambda x: 2 * x, ["mul"]),
    ],
)
def test_a_write_tells_what_stands_on_its_skip(way, names):
    rows = []

    class Ways(Watch):
        def after(self, write, state):
            rows.append([call.name for call in write.skip])
            return state

    net = Skip(way)
    with watched(net, Ways()):
        net(torch.randn(2, 4))
    assert rows == [names]


@pytest.mark.parametrize("name", ["resnet", "encoder", "diffusers"])
def test_a_watched_net_gives_what_it_gives_otherwise(name):
    make, batch, _ = FOREIGN[name]
    net, x = make(), batch()
    torch.manual_seed(0)
    expected = mean_size(net, x)
    gradients = torch.autograd.grad(expected, list(net.parameters()))
    torch.manual_seed(0)
    with watched(net, Watch()):
        value = mean_size(net, x)
        found = torch.autograd.grad(value, list(net.parameters()))
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found, gradients)


def test_a_net_is_as_it_was_after_a_probe():
    net, batch = built("cnn", "connection=reversible", "model.depth=8")
    net.model.eval()
    net.model.body.train()
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    modes = [part.training for part in net.modules()]
    hooks = [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in net.modules()]
    attributes = [set(vars(part)) for part in net.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    stream_profile(net, batch, lambda net, batch: net.loss(batch) * random.random())
    assert all(value.equal(weights[name]) for name, value in net.state_dict().items())
    assert all(p.grad.equal(torch.ones_like(p)) and p.requires_grad for p in net.parameters())
    assert [part.training for part in net.modules()] == modes
    assert [(len(p._forward_hooks), len(p._forward_pre_hooks)) for p in net.modules()] == hooks
    assert [set(vars(part)) for part in net.modules()] == attributes
    assert torch.get_rng_state().equal(states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()


def test_a_generator_that_a_module_holds_goes_on_as_if_nothing_had_been_drawn():
    net = nn.Linear(4, 4)
    net.draws = torch.Generator().manual_seed(0)
    state = net.draws.get_state()
    with untouched(net):
        torch.rand(1, generator=net.draws)
    assert net.draws.get_state().equal(state)


def test_a_net_is_as_it_was_after_an_error():
    net = Stack([nn.Linear(4, 4) for _ in range(2)], [Residual(s) for s in Site.line(4, 2)])
    attributes = [set(vars(part)) for part in net.modules()]

    class Broken(Watch):
        def after(self, write, state):
            raise ArithmeticError

    with pytest.raises(ArithmeticError), watched(net, Broken()):
        net(torch.ones(1, 4))
    assert [set(vars(part)) for part in net.modules()] == attributes
    assert net(torch.ones(1, 4)).shape == (1, 4)


def test_a_compiled_net_is_probed_uncompiled():
    net = torch.compile(SkipMLP(), backend="eager")
    assert len(writes_of(net, (torch.randn(2, 5, 8),), mean_size)) == 4
