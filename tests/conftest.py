"""Shared pieces of the tests: small branches of three kinds and where real data lies."""

import os
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from zoo.config.registry import factory, names, options
from zoo.connection import Connection, Site
from zoo.stack import Stack

torch.set_num_threads(1)

CONNECTIONS = names("connection")
DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items):
    """Marks the longest notebooks as slow."""
    for item in items:
        if item.path.name in ("03_why.ipynb", "04_echoes.ipynb", "05_folklore.ipynb"):
            item.add_marker(pytest.mark.slow)


def until(condition, seconds=180):
    """Waits until something is so."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never came"
        pause.wait(0.05)  # gives the processor to what is waited for


class MLP(nn.Module):
    """A branch on tokens or nodes."""

    def __init__(self, width, out=None):
        super().__init__()
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, out or width)

    def forward(self, x):
        return self.outer(torch.tanh(self.inner(x)))


ACTS = {  # by the formulas of their papers
    "relu": lambda x: x.clamp(min=0),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "gelu": lambda x: x * torch.distributions.Normal(0, 1).cdf(x),
    "silu": lambda x: x / (1 + (-x).exp()),
}


class Act(nn.Module):
    """An activation by its formula."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return ACTS[self.name](x)


class Convolution(nn.Module):
    """A branch on images; it may change stride and width."""

    def __init__(self, width, out=None, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(width, out or width, 3, stride, 1)

    def forward(self, x):
        return torch.tanh(self.conv(x))


class Neighbours(nn.Module):
    """A branch on nodes: the mean over neighbours, then a linear map."""

    def __init__(self, width, out=None):
        super().__init__()
        self.map = nn.Linear(width, out or width)

    def forward(self, x, edge_index):
        source, target = edge_index
        mean = torch.zeros_like(x).index_add(0, target, x[source]) / 2
        return torch.tanh(self.map(mean))


class Subsample(nn.Module):
    """Shortcut option A: every second position, zeros for the new channels."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra

    def forward(self, x):
        return nn.functional.pad(x[..., ::2, ::2], (0, 0, 0, 0, 0, self.extra))


def make_stack(name, kind, length=3, width=8, seed=0, **changes):
    """A stack of one rule over branches of one kind, drawn from one seed."""
    from zoo.seeding import redraw

    connect = factory("connection", name, {**options("connection", name), **changes})
    axis = -1 if kind in ("mlp", "graph") else -3
    sites = Site.line(width, length, axis)
    shortcuts = [None] * length
    if kind in ("stages", "reopened"):  # the middle write halves the image, doubles the width
        outs = [width, 2 * width, 2 * width]
        ins = [width, width, 2 * width]
        changes = [None, 2 * width, None]
        start = 1 if kind == "reopened" else 0
        sites = [Site(ins[i], changes[i], i, length, axis, i and start) for i in range(length)]
        branches = [Convolution(ins[i], outs[i], 2 if changes[i] else 1) for i in range(length)]
        shortcut = Subsample(width) if kind == "stages" else nn.Conv2d(width, 2 * width, 1, 2)
        shortcuts = [None, shortcut if name != "plain" else None, None]
    else:
        make = {"mlp": MLP, "conv": Convolution, "graph": Neighbours}[kind]
        branches = [make(width) for _ in range(length)]
    stack = Stack(branches, [connect(site) for site in sites], shortcuts)
    redraw(stack, seed)
    return stack.eval()  # stochastic rules are tested in training on their own


def make_input(kind, batch=5, width=8):
    """Input and side inputs for a stack over branches of one kind."""
    x = torch.randn(batch, width, generator=torch.Generator().manual_seed(1))
    if kind == "graph":
        ring = torch.arange(batch)
        both = torch.cat([ring, ring.roll(1)]), torch.cat([ring.roll(1), ring])
        return x, torch.stack(both)
    if kind in ("conv", "stages", "reopened"):
        generator = torch.Generator().manual_seed(1)
        return (torch.randn(batch, width, 6, 6, generator=generator),)
    return (x,)


def zero_branches(stack: Stack) -> Stack:
    """The same stack with branches that return zero."""
    for branch in stack.branches:
        for parameter in branch.parameters():
            nn.init.zeros_(parameter)
    return stack


@pytest.fixture(autouse=True, scope="session")
def quickly():
    """Figures are made and not drawn; Hydra reads each choice of the project's files once."""
    from quick import quick

    with quick():
        yield


@pytest.fixture
def drawn():
    """Figures are drawn after all."""
    from quick import drawn

    with drawn():
        yield


@pytest.fixture
def shrunk(monkeypatch):
    """Few images and few steps of what is no part of a task as well."""
    from tiny_runs import shrink

    shrink(monkeypatch)


@pytest.fixture
def planetoid():
    """The folder with Cora's raw files."""
    folder = DATA / "planetoid"
    if not folder.is_dir():
        pytest.skip(f"no Planetoid files in {folder}; set ZOO_DATA")
    return folder


__all__ = ["CONNECTIONS", "Connection", "make_input", "make_stack", "zero_branches"]
