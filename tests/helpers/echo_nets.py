"""Small nets that are trained in seconds, for the views of a net as boosting and as a flow."""

import math

import torch
from torch import nn

from tasks.data.images.digits import digits_rows
from zoo.connection import Site
from zoo.connections.additive import Scaled
from zoo.stack import Stack

TIME = 8.0  # of the flow


class Hidden(nn.Module):
    """A branch with one hidden layer."""

    def __init__(self, width, hidden, activation):
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, x):
        return self.outer(self.activation(self.inner(x)))


def digits_parts(seed):
    """Digits of 64 pixels: 1437 to train with and 360 to test, each with labels."""
    rows = digits_rows()[torch.randperm(1797, generator=torch.Generator().manual_seed(seed))]
    x, labels = rows[:, :64] / 16, rows[:, 64].long()
    return (x[:1437], labels[:1437]), (x[1437:], labels[1437:])


def digits_net(rule, seed, blocks=16, width=64):
    """A net of fully connected branches under one rule, without norms."""
    torch.manual_seed(seed)
    branches = [Hidden(width, width, torch.relu) for _ in range(blocks)]
    stack = Stack(branches, [rule(site) for site in Site.line(width, blocks)])
    return nn.Sequential(nn.Linear(64, width), stack, nn.Linear(width, 10))


def two_spirals(seed, count=1000, noise=0.025):
    """Points in the plane on two spirals of one turn, and on which spiral each lies."""
    generator = torch.Generator().manual_seed(seed)
    turn = torch.rand(count, generator=generator).sqrt() * 2 * math.pi + 0.5
    labels = torch.arange(count) % 2
    angle, radius = turn + math.pi * labels, turn / (2 * math.pi)
    points = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return points + noise * torch.randn(count, 2, generator=generator), labels


def flow_net(steps, seed, width=8):
    """A net of so many Euler steps of one shared branch."""
    torch.manual_seed(seed)
    sites = [Scaled(site, 1.0, TIME, 1.0) for site in Site.line(width, steps)]
    stack = Stack([Hidden(width, 32, torch.tanh)] * steps, sites)
    return nn.Sequential(nn.Linear(2, width), stack, nn.Linear(width, 2))


def fit(net, batch, steps, seed, rate=1e-3, size=128, clip=None, anneal=False):
    """Trains a net with Adam."""
    x, labels = batch
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), rate)
    for step in range(steps):
        if anneal:
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
        chosen = torch.randint(len(x), (size,), generator=generator)
        loss = nn.functional.cross_entropy(net(x[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
    return net
