"""How fast the gradient by the input changes along a line of inputs: shattered gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.connection import Connect, Site
from zoo.connections.additive import Plain
from zoo.errors import ConfigError
from zoo.probes.plots import color, new_figure, plain
from zoo.probes.watch.moved import value
from zoo.probes.watch.untouched import Loss, untouched
from zoo.seeding import generator
from zoo.stack import Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONSTANT = 1e-10  # share of the gradient's square that its change along the line must exceed


@dataclass(frozen=True)
class Shattering:
    """How alike the gradients at the points of a line are.

    Args:
        slope: `[P]` derivative of the loss along the line, at each point.
        autocorrelation: `[lags + 1]` by distance in points, 1 at 0. White noise drops to 0 at
            once, brown noise falls slowly; 1 everywhere where the gradient is the same on the
            whole line, nan where it is 0.
    """

    slope: Tensor
    autocorrelation: Tensor

    @property
    def neighbours(self) -> float:
        """The autocorrelation of points beside each other: near 0 where gradients shatter."""
        return float(self.autocorrelation[1])


def shattering(
    module: nn.Module,
    start: Tensor,
    end: Tensor,
    loss: Loss | None = None,
    points: int = 256,
    lags: int = 40,
) -> Shattering:
    r"""The autocorrelation of the gradient by the input along the line from one input to another.

    The points are one batch. BatchNorm works with constant statistics, so that one point does
    not act on another: with its running ones in a net in evaluation mode; in a net in training
    mode with those that the line itself has, measured first.

    Equation: r_k = sum_t (g_t - m) . (g_t+k - m) / sum_t |g_t - m|^2, where g_t is the gradient
        at point t and m the mean of all of them
    Source: Balduzzi et al. 2017, arXiv:1702.08591, figures 1 and 2.

    Args:
        module: the net.
        start: one input, without a batch axis.
        end: another one.
        loss: `loss(module, inputs)` is a scalar, a sum or mean over the points; None takes the
            sum of all outputs.
        points: P, from start to end, evenly spaced.
        lags: largest distance in points.

    Errors:
        ConfigError: start and end are the same or differ in shape, lags are not below the points,
            the inputs are no floating point numbers, or the loss does not depend on them.

    >>> square = nn.Module()
    >>> square.forward = lambda x: x**2
    >>> round(shattering(square, torch.tensor([-1.0]), torch.tensor([1.0])).neighbours, 2)
    0.99
    """
    if start.shape != end.shape or bool((start == end).all()):
        raise ConfigError("start and end make no line", "shattering", "give two different inputs")
    if not start.is_floating_point():
        what = f"inputs of {start.dtype} have no gradient"
        raise ConfigError(what, "shattering", "give what the net makes of them, as numbers")
    if not 0 < lags < points:
        raise ConfigError(f"lags={lags} of {points} points", "shattering", "choose fewer lags")
    share = torch.linspace(0, 1, points).to(start).view(-1, *[1] * start.ndim)
    inputs = (start + share * (end - start)).requires_grad_()
    with untouched(module):
        settle(module, inputs)
        at = value(module, inputs, loss or total, 0)
        if not at.requires_grad:
            raise ConfigError("the loss does not depend on inputs", "shattering", "do not detach")
        (gradients,) = torch.autograd.grad(at, inputs, materialize_grads=True)
    gradients = gradients.detach().double().reshape(points, -1).cpu()
    along = (end - start).double().flatten().cpu()
    return Shattering(gradients @ along / along.norm(), autocorrelation(gradients, lags))


def total(module: nn.Module, inputs: Any) -> Tensor:
    """The sum of a net's outputs."""
    return module(inputs).sum()


@torch.no_grad()
def settle(module: nn.Module, inputs: Tensor) -> None:
    """Puts a net into evaluation mode; norms that were training take statistics of the inputs."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    learning = [norm for norm in norms if norm.training and norm.running_mean is not None]
    momenta = [norm.momentum for norm in learning]
    module.eval()
    for norm in learning:
        norm.train()
        norm.momentum = 1.0
    if learning:
        module(inputs)
    for norm, momentum in zip(learning, momenta, strict=True):
        norm.momentum = momentum
    module.eval()


def autocorrelation(series: Tensor, lags: int) -> Tensor:
    """The autocorrelation of a series of vectors around their mean.

    Args:
        series: `[P, D]`.
        lags: the largest one.

    Returns:
        `[lags + 1]`.

    >>> autocorrelation(torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]), 1).tolist()
    [1.0, -0.75]
    """
    centered = series - series.mean(0)
    power, whole = centered.square().sum(), series.square().sum()
    if not whole:
        return torch.full([lags + 1], torch.nan, dtype=series.dtype)
    if power <= CONSTANT * whole:
        return torch.ones(lags + 1, dtype=series.dtype)
    count = len(series)
    products = [(centered[: count - k] * centered[k:]).sum() for k in range(lags + 1)]
    return torch.stack(products) / power


def rectifier_net(
    depth: int, connect: Connect = Plain, norm: bool = False, width: int = 200, seed: int = 0
) -> nn.Module:
    """A fully connected net with one input and one output, the subject of the figures.

    The branches are ReLU and a linear map, with BatchNorm before where asked. Weights are normal
    with He's variance, 2 / width. The first layer is drawn by itself: its biases are standard
    normal, like its weights, so that its kinks lie all over the line. Over 20 seeds neighbours
    correlate by -0.02 in the plain net of 24 branches and by 0.77 in the residual one with
    BatchNorm, by 0.86 and 0.91 without.

    Args:
        depth: number of branches.
        connect: the rule of every site.
        norm: whether branches begin with BatchNorm.
        width: of the stream.
        seed: of the weights, equal for every rule.
    """
    first, last = nn.Linear(1, width), nn.Linear(width, 1)
    layers = [nn.Linear(width, width) for _ in range(depth)]
    with torch.no_grad():
        for index, layer in enumerate([first, *layers, last]):
            draws = generator(seed, "rectifier", str(index))
            size = 1.0 if layer is first else (2 / width) ** 0.5
            layer.weight.copy_(size * torch.randn(layer.weight.shape, generator=draws))
            layer.bias.zero_()
            if layer is first:
                layer.bias.copy_(torch.randn(width, generator=draws))
    branches = [
        nn.Sequential(*[nn.BatchNorm1d(width)] * norm, nn.ReLU(), layer) for layer in layers
    ]
    sites = [connect(site) for site in Site.line(width, depth)]
    return nn.Sequential(first, Stack(branches, sites), nn.ReLU(), last)


def shattering_figure(results: Shattering | Mapping[str, Shattering]) -> Figure:
    """A figure of the slope along the line for each net, and of all autocorrelations.

    Args:
        results: one, or several by label.
    """
    named = {"": results} if isinstance(results, Shattering) else results
    figure = new_figure(9, max(3.2, 1.1 * len(named) + 0.6))
    grid = figure.add_gridspec(len(named), 2)
    right = figure.add_subplot(grid[:, 1])
    for row, (label, result) in enumerate(named.items()):
        axis = figure.add_subplot(grid[row, 0])
        axis.plot(result.slope / result.slope.abs().max(), linewidth=0.7, color=color(row))
        axis.set_title(plain(label), fontsize=9)
        axis.set_yticks([])
        axis.set_xticks([0, len(result.slope) - 1] if row == len(named) - 1 else [])
        shown = f"{plain(label)} ({result.neighbours:.2f})".strip()
        right.plot(result.autocorrelation, marker=".", label=shown, color=color(row))
    axis.set_xlabel("point of the line; height: slope, scaled")
    right.axhline(0, color="0.5", linewidth=0.8)
    right.set_xlabel("distance in points (in brackets: that of neighbours)")
    right.set_ylabel("autocorrelation of the gradient")
    right.grid(alpha=0.3)
    right.legend(frameon=False, fontsize=8)
    return figure
