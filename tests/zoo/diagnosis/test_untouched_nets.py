"""A diagnosis leaves compiled, wrapped and failing nets, and all around them, as they were."""

import os
import random

import numpy as np
import pytest
import torch
from foreign_nets import SmallResNet, mean_size
from forked import places, start
from torch import nn
from torch._dynamo.utils import counters

from zoo.diagnosis.diagnose import diagnose


class Failing(nn.Module):
    """Changes all that a net may change, and fails in the middle."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout())
        self.last = nn.Linear(8, 8)
        self.draws = {"noise": torch.Generator()}

    def forward(self, x):
        x = x + self.last(self.first(x))
        self.eval()
        self.last.requires_grad_(False)
        torch.rand((), generator=self.draws["noise"])
        random.random(), np.random.rand()
        raise RuntimeError("in the middle")


def state(net):
    """All of a net and of the process that a pass could change: tensors, and other values."""
    parts = [*net.modules()]
    draws = [each for part in parts for each in vars(part).get("draws", {}).values()]
    tensors = [value.clone() for value in net.state_dict().values()]
    tensors += [p.grad.clone() for p in net.parameters() if p.grad is not None]
    tensors += [torch.get_rng_state(), *(each.get_state() for each in draws)]
    values = [[p.requires_grad for p in net.parameters()], [part.training for part in parts]]
    values += [
        [sorted(vars(part)) for part in parts],
        random.getstate(),
        str(np.random.get_state()),
    ]
    hooks = [v for part in parts for name, v in vars(part).items() if name.endswith("_hooks")]
    return tensors, [*values, [len(each) for each in hooks]]


def assert_untouched(net, looks):
    """Asserts that a look leaves a net as it was, with gradients and a module in evaluation."""
    for number, p in enumerate(net.parameters()):
        p.grad = torch.full_like(p, number) if number % 2 else None
    list(net.children())[-1].eval()
    (tensors, values), gradients = state(net), [p.grad for p in net.parameters()]
    looks()
    after, others = state(net)
    torch.testing.assert_close(after, tensors, rtol=0, atol=0)
    assert others == values
    assert all(p.grad is g for p, g in zip(net.parameters(), gradients, strict=True))


X = (torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)),)


def test_a_net_that_fails_in_the_middle():
    net = Failing()

    def looks():
        with pytest.raises(RuntimeError, match="in the middle"):
            diagnose(net, (torch.randn(4, 8, generator=torch.Generator()),), mean_size)

    assert_untouched(net, looks)


def test_a_net_under_autocast():
    net = SmallResNet()

    def looks():
        with torch.autocast("cpu", torch.bfloat16):
            found = diagnose(net, X, mean_size)
        assert found.profile is not None

    assert_untouched(net, looks)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_compiled_net_is_seen_and_not_compiled_again(wrapped):
    torch.compiler.reset()
    counters.clear()
    net, same = SmallResNet(), SmallResNet()
    same.load_state_dict(net.state_dict())
    compiled = torch.compile(net, backend="eager") if wrapped else net
    if not wrapped:
        net.compile(backend="eager")
    compiled(*X)
    same(*X)
    graphs = counters["stats"]["unique_graphs"]

    def looks():
        same.train(net.training)
        found, plain = (diagnose(each, X, mean_size) for each in (compiled, same))
        torch.testing.assert_close(found.profile.stream, plain.profile.stream)
        names = [name.removeprefix("_orig_mod.") for name in found.profile.modules]
        assert names == plain.profile.modules

    assert_untouched(compiled, looks)
    compiled.train()
    compiled(*X)
    assert counters["stats"]["unique_graphs"] == graphs


def diagnose_wrapped(place):
    os.environ.update(place, RANK=place["LOCAL_RANK"])
    torch.distributed.init_process_group("gloo")
    net = nn.parallel.DistributedDataParallel(SmallResNet())
    for _ in range(2):  # between two steps, whose gradients are still reduced
        mean_size(net, X).backward()
        found = []
        assert_untouched(net, lambda found=found: found.append(diagnose(net, X, mean_size)))
        assert found[0].profile.modules[0].startswith("module.")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_a_net_that_processes_share():
    (place,) = places(1)
    process = start(diagnose_wrapped, place)
    process.join()
    assert process.exitcode == 0
