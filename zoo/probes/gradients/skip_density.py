"""How many layers of a net should have a skip, by what its layers do to the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from zoo.probes.gradients.random_skips import cell, gains
from zoo.probes.plots import color, new_figure
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
