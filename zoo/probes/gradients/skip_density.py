"""How many layers of a net should have a skip, by what its layers do to the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from zoo.connection import Connection, Site
from zoo.connections.additive import Plain, Residual
from zoo.errors import ConfigError
from zoo.probes.plots import color, new_figure
from zoo.probes.watch.untouched import untouched
from zoo.seeding import generator
from zoo.stack import Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class SkipDensity:
    """The gradient and the accuracy of nets of equal depth by their number of skips.

    Args:
        layers: number of layers, L.
        variance: what each layer multiplies the square of a gradient by, s^2.
        skips: layers with a skip, for each net.
        predicted: `[n]` logarithm of what all layers multiply the square of a gradient by.
        measured: `[n]` the same, as a mean over nets and inputs before the logarithm.
        accuracy: `[n, seeds]` after training; None without.
    """

    layers: int
    variance: float
    skips: tuple[int, ...]
    predicted: Tensor
    measured: Tensor
    accuracy: Tensor | None = None

    @property
    def rank_correlation(self) -> float:
        """Spearman's correlation of the mean accuracy with -|predicted|; nan without accuracy."""
        from scipy.stats import spearmanr

        if self.accuracy is None:
            return math.nan
        return float(spearmanr(-self.predicted.abs(), self.accuracy.mean(1)).statistic)


def predicted_gain(layers: int, skips: int, variance: float) -> float:
    r"""The logarithm of what layers multiply the square of a gradient by, in the mean.

    Equation: log E |g_0|^2 / |g_L|^2 = k log(1 + s^2) + (L - k) log s^2
    Source: the mean over independent weights of mean 0, layer by layer; for residual nets also
        Taki 2017, arXiv:1709.02956.

    Args:
        layers: L.
        skips: k, the layers whose input is added to their output.
        variance: s^2, the mean of |J^T g|^2 / |g|^2 for a branch.

    >>> round(predicted_gain(100, 50, 0.5), 1)
    -14.4
    """
    return skips * math.log1p(variance) + (layers - skips) * math.log(variance)


def neutral_density(variance: float) -> float:
    r"""The share of layers with a skip at which the gradient neither grows nor vanishes.

    Equation: p = -log s^2 / (log(1 + s^2) - log s^2); outside of [0, 1] where s^2 > 1

    >>> round(neutral_density(0.5), 2)
    0.63
    """
    return -math.log(variance) / (math.log1p(variance) - math.log(variance))


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


def skip_density(
    layers: int = 50,
    skips: Sequence[int] | None = None,
    width: int = 128,
    variance: float = 0.5,
    activation: Literal["relu", "identity"] = "relu",
    seeds: Sequence[int] = range(20),
    batch: int = 20,
    accuracy: Callable[[Stack, int], float] | None = None,
) -> SkipDensity:
    """The predicted and the measured growth of the gradient by the number of skips.

    Args:
        layers: of every net.
        skips: of the nets; None takes every quarter of the layers.
        width: of the stream.
        variance: s^2 of a branch.
        activation: of the branches.
        seeds: a net for each, and each number of skips.
        batch: normal inputs for each net.
        accuracy: trains a net and returns its accuracy, as `trained_accuracy` does; it gets the
            net and its seed, and may change the net.

    >>> result = skip_density(8, width=32, seeds=range(4))
    >>> (result.measured - result.predicted).abs().max() < 1
    tensor(True)
    """
    skips = tuple(skips or [round(layers * part / 4) for part in range(5)])
    measured, accuracies = [], []
    for count in skips:
        found, reached = [], []
        for seed in seeds:
            net = cell(layers, count, width, variance, activation, seed)
            inputs = torch.randn(batch, width, generator=generator(seed, "inputs"))
            found.append(gains(net, inputs, seed))
            if accuracy is not None:
                reached.append(accuracy(net, seed))
        measured.append(torch.cat(found).mean().log())
        accuracies.append(reached)
    predicted = torch.tensor([predicted_gain(layers, k, variance) for k in skips]).double()
    final = torch.tensor(accuracies) if accuracy is not None else None
    return SkipDensity(layers, variance, skips, predicted, torch.stack(measured), final)


def skip_density_figure(result: SkipDensity) -> Figure:
    """A figure of the growth of the gradient, and of the accuracy, by the share of skips.

    The dashed line is the neutral share.
    """
    panels = 1 if result.accuracy is None else 2
    figure = new_figure(4.6 * panels, 3.4)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    share = [k / result.layers for k in result.skips]
    axes[0].plot(share, result.predicted, color=color(0), label="predicted")
    axes[0].plot(share, result.measured, "o", color=color(1), label="measured")
    axes[0].set_ylabel("log of the growth of |gradient|$^2$")
    axes[0].axhline(0, color="0.5", linewidth=0.8)
    if result.accuracy is not None:
        axes[1].plot(share, result.accuracy.mean(1), color=color(1), label="mean")
        axes[1].plot(share, result.accuracy, ".", color=color(1), alpha=0.6)
        axes[1].set_ylim(0, 1)
        axes[1].set_ylabel("accuracy after training")
        axes[1].set_title(f"rank correlation {result.rank_correlation:.2f}", fontsize=10)
    for axis in axes:
        neutral = neutral_density(result.variance)
        axis.axvline(neutral, color=color(2), linestyle="--", linewidth=1, label="neutral share")
        axis.set_xlabel(f"share of the {result.layers} layers with a skip")
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    return figure
