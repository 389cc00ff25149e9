"""Losses of every kind that an ordinary training loop has can be diagnosed."""

import pytest
import torch
from second_device import HERE, second_device
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from zoo.diagnosis.diagnose import diagnose

X, Y = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3


class TwoHeads(nn.Module):
    """A code, and what is decoded from it."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
        self.decode = nn.Sequential(nn.ReLU(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
        self.rate = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        code = self.encode(x)
        return code, self.decode(code)


class Vector(nn.Module):
    """A layer without an axis for its outputs, and a bias without axes."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x @ self.weight + self.bias


SUMS = {
    "of means": lambda code, out, net: code.square().mean() + mse_loss(out, X),
    "by example": lambda code, out, net: (code.square().sum(1) + (out - X).square().sum(1)).mean(),
    "by element": lambda code, out, net: (code.square() + (out - X).square()).mean(),
    "weighted": lambda code, out, net: (-net.rate).exp() * mse_loss(out, X) + net.rate,
}


@pytest.mark.parametrize("terms", SUMS)
def test_a_sum_of_the_loss_is_no_skip_of_the_net(terms):
    found = diagnose(TwoHeads(), X, lambda net, x: SUMS[terms](*net(x), net))
    assert found.profile is None


@pytest.mark.parametrize(("net", "x"), [(Vector(), X), (nn.Linear(4, 2), X[0])])
def test_outputs_of_no_axis_and_of_one(net, x):
    assert str(diagnose(net, x, lambda net, x: net(x).square().mean())) == "nothing is found"


class Split(nn.Module):
    """A block on the CPU and a head on another device."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 3).to(HERE)

    def forward(self, x):
        x = x + self.two(self.one(x).relu())
        return self.head(x.to(HERE))


def test_a_net_or_a_loss_on_two_devices():
    with second_device():
        layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).to(HERE)
        for net, scale in ((layers, 1.0), (layers, torch.tensor(0.5)), (Split(), 1.0)):
            place = HERE if net is layers else X.device

            def loss(net, batch, scale=scale, place=place):
                return cross_entropy(net(batch[0].to(place)) * scale, batch[1].to(HERE))

            assert str(diagnose(net, (X, Y), loss)) == "nothing is found"
