"""Nets with skips in random places, and what a net multiplies a random gradient by."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from zoo.connection import Connection, Site
from zoo.connections.additive import Plain, Residual
from zoo.errors import ConfigError
from zoo.probes.watch.untouched import untouched
from zoo.seeding import generator
from zoo.stack import Stack


def cell(
    layers: int,
    skips: int,
    width: int = 128,
    variance: float = 0.5,
    activation: Literal["relu", "identity"] = "relu",
    seed: int = 0,
) -> Stack:
    """A stack of linear layers, some of them with a skip, in random places.

    A branch is the activation and a linear map without biases. Its weights are normal, of the
    variance s^2 / width, twice that behind ReLU. Weights do not depend on the number of skips, and
    the places of fewer skips are among those of more.

    Args:
        layers: number of branches.
        skips: number of branches under `Residual`; the others are under `Plain`.
        width: of the stream.
        variance: s^2.
        activation: `relu` or `identity`.
        seed: of the weights and places.

    Errors:
        ConfigError: more skips than layers.
    """
    if not 0 <= skips <= layers:
        raise ConfigError(f"skips={skips} of {layers} layers", "cell", "choose from 0 to layers")
    places = torch.randperm(layers, generator=generator(seed, "skips"))[:skips].tolist()
    size = ((2 if activation == "relu" else 1) * variance / width) ** 0.5
    branches: list[nn.Module] = []
    sites: list[Connection] = []
    for site in Site.line(width, layers):
        layer = nn.Linear(width, width, bias=False)
        draws = generator(seed, "cell", str(site.index))
        with torch.no_grad():
            layer.weight.copy_(size * torch.randn(width, width, generator=draws))
        branches.append(nn.Sequential(nn.ReLU() if activation == "relu" else nn.Identity(), layer))
        sites.append(Residual(site) if site.index in places else Plain(site))
    return Stack(branches, sites)


def gains(module: nn.Module, inputs: Tensor, seed: int = 0) -> Tensor:
    """What a net multiplies the square of a random gradient by, on its way to each input.

    Equation: |J^T g|^2 / |g|^2 for a normal g

    Args:
        module: the net, of inputs `[B, ...]` to outputs `[B, ...]`; put into evaluation mode.
        inputs: `[B, ...]`.
        seed: of the gradients g.

    Returns:
        `[B]`, in double precision.

    >>> double = cell(1, 0, width=2)
    >>> _ = double.branches[0][1].weight.data.copy_(2 * torch.eye(2))
    >>> gains(double, torch.ones(1, 2)).item()
    4.0
    """
    x = inputs.detach().clone().requires_grad_()
    with untouched(module):
        module.eval()
        y = module(x)
        above = torch.randn(y.shape, generator=generator(seed, "gradient")).to(y)
        (below,) = torch.autograd.grad(y, x, above)
    squares = [g.double().flatten(1).square().sum(1) for g in (below, above)]
    return squares[0] / squares[1]
