"""Collapse, boosting, Euler and multigrid on a second device give what they give on the CPU."""

import math
from dataclasses import astuple

import pytest
import torch
from conftest import make_stack
from echo_nets import flow_net, two_spirals
from second_device import second_device
from torch import nn

from zoo.probes.echoes.boosting import boosting
from zoo.probes.echoes.euler import euler
from zoo.probes.echoes.multigrid import multigrid
from zoo.probes.echoes.v_cycle import v_cycle
from zoo.probes.stream.collapse import collapse


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def collapsed(place):
    stack = make_stack("residual", "mlp").to(place)
    x, edges = drawn(2, 6, 8), torch.tensor([[0, 1], [1, 0]])
    return collapse(stack, x.to(place), edge_index=edges.to(place),
                    labels=torch.tensor([0, 1]).to(place))  # fmt: skip


def boosted(place):
    torch.manual_seed(0)
    net = nn.Sequential(make_stack("residual", "mlp"), nn.Linear(8, 3)).to(place)
    batch = drawn(30, 8).to(place), (torch.arange(30) % 3).to(place)
    return boosting(net, batch, batch)


def stepped(place):
    x, labels = two_spirals(0, 20)
    return euler(flow_net(2, 0).to(place), (x.to(place), labels.to(place)), [1, 2, 4])


def cycled(place):
    return multigrid(v_cycle(7).to(place), 7)


def numbers(result):
    leaves = []
    for field in astuple(result):
        leaves += field if isinstance(field, tuple) else [field]
    return [leaf for leaf in leaves if not isinstance(leaf, str)]


@pytest.mark.parametrize("probe", [collapsed, boosted, stepped, cycled])
def test_a_second_device_gives_the_same(probe):
    here = numbers(probe("cpu"))
    with second_device():
        there = numbers(probe("cuda"))
    assert there == pytest.approx(here, rel=1e-3, abs=1e-6, nan_ok=True)
    assert any(math.isfinite(value) and value for value in here)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("probe", [collapsed, boosted, stepped, cycled])
def test_a_gpu_gives_the_same(probe):
    there, here = numbers(probe("cuda")), numbers(probe("cpu"))
    assert there == pytest.approx(here, rel=1e-2, abs=1e-4, nan_ok=True)
