"""Multigrid: how fast passes of a net, such as a V-cycle, solve Poisson's equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.probes.echoes.v_cycle import CROSS
from zoo.probes.plots import color, new_figure, plain
from zoo.probes.watch.untouched import untouched
from zoo.seeding import generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Multigrid:
    """A solver's way to the solution.

    Args:
        residuals: |f - A u| / |f| at the start and after every cycle.
        factor: by which the last half of the cycles reduces it, a cycle, as their geometric mean.
    """

    residuals: tuple[float, ...]
    factor: float


def multigrid(net: nn.Module, side: int, cycles: int = 15, seed: int = 0) -> Multigrid:
    """The residual of Poisson's equation by cycle, where each cycle is one pass of a net.

    Equation: A u = f, A the five-point stencil of -Laplace on the unit square, u = 0 around it;
        u' = net(u, f), from u = 0
    Source: Briggs, Henson and McCormick 2000, A Multigrid Tutorial, chapters 1-4.

    Args:
        net: maps u and f `[1, 2, side, side]` in double precision to the next u.
        side: inner points of the grid along a side.
        cycles: number of passes, from 1; beyond 16 or so a V-cycle has reached rounding.
        seed: of f, a standard normal at every point.

    >>> from zoo.probes.echoes.v_cycle import v_cycle
    >>> result = multigrid(v_cycle(15), 15)
    >>> len(result.residuals), result.factor < 0.2
    (16, True)
    """
    device = next(net.parameters()).device
    f = torch.randn(1, 1, side, side, generator=generator(seed, "poisson"), dtype=torch.float64)
    f = f.to(device)
    u, residuals = torch.zeros_like(f), [1.0]
    with untouched(net), torch.no_grad():
        for _ in range(cycles):
            u = net(torch.cat([u, f], 1))
            residuals.append(((f - poisson(u)).norm() / f.norm()).item())
    half = cycles // 2
    factor = (residuals[-1] / residuals[half]) ** (1 / (cycles - half))
    return Multigrid(tuple(residuals), factor)


def poisson(u: Tensor) -> Tensor:
    """A u, for `[B, 1, n, n]` on the inner points of the unit square."""
    spacing = 1 / (u.shape[-1] + 1)
    return F.conv2d(u, -CROSS.to(u.device)[None, None] / spacing**2, padding=1)


def multigrid_figure(result: Multigrid | Mapping[str, Multigrid]) -> Figure:
    """A figure of the relative residual by cycle.

    Args:
        result: of one solver, or of several under their labels.
    """
    results = {"": result} if isinstance(result, Multigrid) else result
    figure = new_figure(5.2, 3.6)
    axis = figure.subplots()
    for number, (label, one) in enumerate(results.items()):
        name = f"{plain(label)}: " if label else ""
        axis.semilogy(one.residuals, "o-", markersize=3, color=color(number),
                      label=f"{name}{one.factor:.3f} a cycle")  # fmt: skip
    axis.set_xlabel("cycles (passes of the net)")
    axis.set_ylabel("|f - A u| / |f|")
    axis.set_title("a U-Net as a V-cycle: the long skip keeps the fine solution", fontsize=9)
    axis.locator_params(axis="x", integer=True)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8)
    return figure
