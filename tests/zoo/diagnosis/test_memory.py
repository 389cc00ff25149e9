"""A diagnosis takes little more memory than the pass that it looks at."""

import pytest
import torch
from torch import nn

from zoo.connection import Site
from zoo.connections.additive import Residual
from zoo.diagnosis.diagnose import diagnose
from zoo.probes.live_bytes import LiveBytes, peak_bytes
from zoo.stack import Stack


def branch(width):
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def stack(width, depth):
    return Stack(
        [branch(width) for _ in range(depth)],
        [Residual(site) for site in Site.line(width, depth)],
    )


CASES = {  # nets with much larger activations than weights, or the other way round
    "wide": lambda: (nn.Sequential(nn.Linear(8, 1024), nn.ReLU(), nn.Linear(1024, 1)), (4096, 8)),
    "images": lambda: (
        nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 3, 3)),
        (16, 3, 64, 64),
    ),
    "tokens": lambda: (stack(64, 3), (64, 128, 64)),
    "weights": lambda: (stack(256, 6), (4, 256)),
}


def loss(net, x):
    return net(x).square().mean()


@pytest.mark.parametrize("name", CASES)
def test_it_is_at_most_half_as_much_again(name):
    torch.manual_seed(0)
    net, shape = CASES[name]()
    x = torch.randn(shape)
    plain = peak_bytes(lambda: loss(net, x))
    net.zero_grad()
    with LiveBytes() as live:
        diagnose(net, x, loss)
    assert live.peak <= 1.5 * plain


def test_the_step_of_an_optimiser_is_taken_a_few_weights_at_a_time():
    net, x = stack(256, 10), torch.randn(4, 256)
    optimizer = torch.optim.Adam(net.parameters())
    loss(net, x).backward()
    optimizer.step()
    net.zero_grad()
    weights = sum(p.numel() * p.element_size() for p in net.parameters())
    with LiveBytes() as live:
        diagnose(net, x, loss, optimizer)
    assert live.peak <= 1.6 * weights  # its gradient, and of one in twenty weights six copies
