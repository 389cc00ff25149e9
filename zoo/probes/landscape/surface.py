"""The loss on slices through the weights of a net, along random directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.probes.plots import color, new_figure, plain
from zoo.probes.watch.moved import moving, value
from zoo.probes.watch.untouched import Loss
from zoo.seeding import generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANGE = 1e5  # of losses that a map tells apart; larger ones have its last color
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Surface:
    """The loss of a net on a slice through its weights.

    Args:
        steps: `[n]` how far along a direction, in units of the weights' own size; 0 in the middle.
        loss: `[n]` along one direction; `[n, n]` along two, the first axis for the first one.
            Infinite or nan where the net's loss is.
    """

    steps: Tensor
    loss: Tensor

    @property
    def center(self) -> float:
        """The loss of the net itself."""
        middle = len(self.steps) // 2
        return float(self.loss[(middle,) * self.loss.ndim])


def surface(
    module: nn.Module,
    batch: Any,
    loss: Loss,
    axes: int = 2,
    points: int = 21,
    reach: float = 1.0,
    seed: int = 0,
) -> Surface:
    r"""The loss around a net's weights along one or two filter-normalised random directions.

    The net is in evaluation mode, so BatchNorm uses its running statistics, which stay as they
    are: so do the authors of the method. All points have the same random numbers, if the loss
    draws any. Nets of equal names and shapes get the same draws, so two arms of a comparison are
    cut along the same directions.

    Equation: f(a, b) = L(w + a d + b e), where d and e are normal draws with every filter scaled
        to the norm of that filter of w: d_ij = d_ij |w_ij| / |d_ij|
    Source: Li et al. 2018, arXiv:1712.09913, section 4; weights alone have directions, biases and
        the parameters of norms stay. A filter is what makes one output: a row of a linear map.

    Args:
        module: the net.
        batch: what the loss takes.
        loss: `loss(module, batch)` is a scalar.
        axes: number of directions, 1 or 2.
        points: along each direction, odd.
        reach: largest step; 1 is as far as the weights are large.
        seed: of the directions and of what the loss draws.

    Errors:
        ConfigError: points are even, or axes not 1 or 2; the loss is no scalar; the net has
            nothing but biases and norms.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(net.weight, 2.0)
    >>> line = surface(net, torch.ones(1, 1), lambda m, x: m(x).square().sum(), axes=1, points=3)
    >>> sorted(line.loss.tolist())  # of the weights 0, 2 and 4
    [0.0, 4.0, 16.0]
    """
    if axes not in (1, 2):
        raise ConfigError(f"axes={axes}", "surface", "choose 1 or 2")
    if points < 3 or points % 2 == 0:
        raise ConfigError(f"points={points}", "surface", "choose an odd number above 2")
    steps = torch.linspace(-reach, reach, points)
    steps[points // 2] = 0.0
    directions = [direction(module, seed, axis) for axis in range(axes)]
    if not directions[0]:
        raise ConfigError("no weight has filters", "surface", "give a net with layers of weights")
    values = []
    with moving(module) as move, torch.no_grad():
        for place in torch.cartesian_prod(*[steps] * axes).reshape(-1, axes).tolist():
            pairs = list(zip(place, directions, strict=True))
            move({name: sum(a * d[name] for a, d in pairs) for name in directions[0]})
            values.append(value(module, batch, loss, seed).double().cpu())
    return Surface(steps, torch.stack(values).view([points] * axes))


@torch.no_grad()
def direction(module: nn.Module, seed: int, number: int = 0) -> dict[str, Tensor]:
    """A filter-normalised random direction: an offset for every weight that has filters.

    Biases and the parameters of norms are left out; a filter of zeros stays zero.

    Args:
        module: the net.
        seed: of the draws.
        number: of the direction.
    """
    offsets = {}
    for name, weight in module.named_parameters():
        owner = module.get_submodule(name.rpartition(".")[0])
        if weight.ndim < 2 or isinstance(owner, nn.LayerNorm | nn.RMSNorm):
            continue
        draws = generator(seed, "direction", str(number), name)
        drawn = torch.randn(weight.shape, generator=draws).to(weight)
        filters = 1 if isinstance(owner, TRANSPOSED) else 0
        rest = [axis for axis in range(weight.ndim) if axis != filters]
        size, length = (torch.linalg.vector_norm(t, 2, rest, True) for t in (weight, drawn))
        offsets[name] = drawn * (size / length)
    return offsets


def surface_figure(surfaces: Surface | Mapping[str, Surface]) -> Figure:
    """A figure of slices: curves in one panel for one direction, else a map for each net.

    Args:
        surfaces: one, or several by label; all along one direction or all along two.
    """
    named = {"": surfaces} if isinstance(surfaces, Surface) else surfaces
    flat = all(s.loss.ndim == 1 for s in named.values())
    return curves(named) if flat else maps(named)


def curves(surfaces: Mapping[str, Surface]) -> Figure:
    """A figure of slices along one direction, logarithmic where losses differ in size."""
    figure = new_figure(5, 3.4)
    axis = figure.subplots()
    for number, (label, s) in enumerate(surfaces.items()):
        axis.plot(s.steps, s.loss, "o-", markersize=3, color=color(number),
                  label=plain(label) or None)  # fmt: skip
    low, high = limits(surfaces)
    if high > 30 * low > 0:
        axis.set_yscale("log")
    axis.set_xlabel("step along a random direction, in sizes of the weights")
    axis.set_ylabel("loss")
    axis.grid(alpha=0.3)
    if any(surfaces):
        axis.legend(frameon=False)
    return figure


def maps(surfaces: Mapping[str, Surface]) -> Figure:
    """A figure of slices along two directions, all with the same levels in logarithmic steps."""
    from matplotlib.colors import LogNorm

    low, high = limits(surfaces)
    levels = np.geomspace(low, high, 25)
    figure = new_figure(3.2 * len(surfaces) + 0.9, 3.3)
    axes = figure.subplots(1, len(surfaces), squeeze=False)[0]
    for axis, (label, s) in zip(axes, surfaces.items(), strict=True):
        values = s.loss.nan_to_num(high, high).clamp(levels[0], levels[-1]).T
        norm = LogNorm(low, high)
        shown = axis.contourf(s.steps, s.steps, values, levels=levels, norm=norm, cmap="viridis")
        axis.plot(0, 0, "+", color="white")
        axis.set_aspect("equal")
        axis.set_title(f"{plain(label)} ({s.center:.3g})".strip(), fontsize=10)
        axis.set_xlabel("first direction")
    axes[0].set_ylabel("second direction")
    bar = figure.colorbar(shown, ax=list(axes), shrink=0.8, label="loss (of the net in brackets)")
    bar.ax.set_yscale("log")
    return figure


def limits(surfaces: Mapping[str, Surface]) -> tuple[float, float]:
    """The least loss above 0 of some slices, and the largest up to RANGE times as large."""
    losses = torch.cat([s.loss.flatten() for s in surfaces.values()])
    losses = losses[losses.isfinite() & (losses > 0)]
    low, high = (losses.min().item(), losses.max().item()) if len(losses) else (1.0, 1.0)
    return low, min(max(high, 1.001 * low), RANGE * low)
