"""How much the loss of a net can rise when each weight changes by a share of its size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.probes.plots import color, new_figure, plain
from zoo.probes.watch.moved import differentiable, moving, value
from zoo.probes.watch.untouched import Loss
from zoo.seeding import generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sharpness(
    module: nn.Module,
    batch: Any,
    loss: Loss,
    radius: float = 0.5,
    steps: int = 20,
    seed: int = 0,
) -> float:
    r"""The adaptive sharpness: how much the loss rises at worst around a net's weights.

    It does not change when weights are scaled in a way that leaves the net's function the same.
    The maximum is sought by the ascent that the authors take one step of, from the weights on and
    then again from where it led; the largest rise counts, so more steps never give less. On a
    quadratic loss it is the power method. The net is in evaluation mode.

    Equation: max L(w + e) - L(w) over e with |e / w| <= r; steps e = r T s / |s|, where s is
        T times the gradient at w + e and T = |w|, all weight by weight
    Source: Kwon et al. 2021, arXiv:2102.11600, definition of adaptive sharpness, with their
        element-wise normalisation and p = 2.

    Args:
        module: the net; the weights that need a gradient are moved, biases and norms among them.
        batch: what the loss takes.
        loss: `loss(module, batch)` is a scalar.
        radius: r.
        steps: of the ascent.
        seed: of what the loss draws, and of the first step where the gradient is zero.

    Returns:
        The rise, at least 0; infinite if the loss is not finite somewhere nearby.

    Errors:
        ConfigError: the loss is no scalar, is not finite, or does not depend on a weight that
            needs a gradient.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(net.weight, 2.0)
    >>> sharpness(net, torch.ones(1, 1), lambda m, x: m(x).square().sum())  # 3 squared - 2 squared
    5.0
    """
    weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
    scales = {name: p.detach().abs() for name, p in weights.items()}
    worst = 0.0
    with moving(module) as move:
        start = None
        for step in range(steps + 1):
            at = value(module, batch, loss, seed)
            height = at.item()
            if start is None:
                differentiable(at, weights.values())
                start = height
            worst = max(worst, height - start)
            if not math.isfinite(height):
                return math.inf
            if step < steps:
                slopes = ascent(at, weights, scales, seed)
                move({name: radius * scales[name] * slopes[name] for name in weights})
    return worst


def ascent(
    at: Tensor, weights: Mapping[str, Tensor], scales: Mapping[str, Tensor], seed: int
) -> dict[str, Tensor]:
    """The gradient of the loss by weights in units of their size, of norm 1 over all weights.

    Where it is zero a random direction.
    """
    gradients = torch.autograd.grad(at, list(weights.values()), materialize_grads=True)
    slopes = {n: scales[n] * g for n, g in zip(weights, gradients, strict=True)}
    if not any(bool(slope.any()) for slope in slopes.values()):
        drawn = {n: torch.randn(w.shape, generator=generator(seed, n)) for n, w in weights.items()}
        slopes = {n: drawn[n].to(w) * scales[n].sign() for n, w in weights.items()}
    parts = [torch.linalg.vector_norm(slope, dtype=torch.float64) for slope in slopes.values()]
    length = torch.stack([part.cpu() for part in parts]).norm().item() or 1.0
    return {n: slope / length for n, slope in slopes.items()}


def sharpness_figure(rises: Mapping[str, float]) -> Figure:
    """A figure of the sharpness of several nets, as bars.

    Args:
        rises: by label, as of `sharpness`.
    """
    figure = new_figure(4.5, 0.8 + 0.35 * len(rises))
    axis = figure.subplots()
    axis.barh([plain(label) for label in rises], list(rises.values()),
              color=[color(number) for number in range(len(rises))])  # fmt: skip
    axis.invert_yaxis()
    axis.set_xlabel("largest rise of the loss nearby")
    axis.grid(alpha=0.3, axis="x")
    return figure
