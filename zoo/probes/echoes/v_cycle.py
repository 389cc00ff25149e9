"""A U-Net with linear branches and fixed weights that is a V-cycle for Poisson's equation."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.connection import Connect, Connection, Site
from zoo.connections.additive import Residual
from zoo.models.layers.conv import Conv
from zoo.models.layers.level import Level
from zoo.models.layers.time import Downsample
from zoo.models.unet import UNet
from zoo.norm import Pre
from zoo.stack import Stack

U, RHS = 0, 1  # channels of the stream: the solution, and the right-hand side of its grid
CROSS = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=torch.float64)
TENT = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64)


def v_cycle(side: int, long: Connect = Residual, smoothing: int = 2, damping: float = 0.8) -> UNet:
    r"""A U-Net that is a V-cycle: its levels are grids, and its long skip keeps the fine solution.

    The stream holds the solution and the right-hand side of its grid, (u, f). In the words of both:

        branch under `residual`   u' = u + w h^2 / 4 (f - A u), damped Jacobi: smoothing
        down                      (u, f) to (0, R (f - A u)), full weighting: restriction
        up                        (e, .) to (P e, 0), bilinear: prolongation
        long=residual             (u + P e, f): the fine solution is kept and corrected
        deepest level             one point, which w = 1 solves
        the padding of the image  the boundary, where u = 0

    What is replaced in the `UNet`: its branches, stem, `down` and `up`, and what comes before the
    head; its head gets weights. Everything else is the class as it is.

    Shapes: u and f `[B, 2, side, side]` to u `[B, 1, side, side]`, in double precision.

    Source: Trottenberg, Oosterlee and Schueller 2001, Multigrid, chapter 2; as a net: He and Xu
        2019, arXiv:1901.10415 (MgNet).

    Args:
        side: inner points along a side, 2^k - 1 with k > 1.
        long: the rule of the long sites. Under `plain` the fine grid forgets u and f.
        smoothing: steps before and after every correction, from 1.
        damping: w.

    Errors:
        ValueError: another side; no smoothing.

    >>> v_cycle(7)(torch.zeros(1, 2, 7, 7, dtype=torch.float64)).shape
    torch.Size([1, 1, 7, 7])
    """
    depth = (side + 1).bit_length() - 2
    if depth < 1 or side != 2 ** (depth + 1) - 1:
        raise ValueError(f"side={side} is none of 3, 7, 15, ..., 2^k - 1")
    if smoothing < 1:
        raise ValueError(f"smoothing={smoothing}: a stack has one branch at least")
    widths = [2] * (depth + 1)
    net = UNet(2, 1, Residual, long, Pre(), depth, widths, smoothing, norm="layer").double()
    spacing = 1 / (side + 1)
    net.stem = nn.Sequential(Inside(), Stack([smoother(spacing, damping)], [Residual(Site(2))]))
    level: Any = net.body
    while isinstance(level, Level):
        for stack in (level.enter, level.leave):
            smooth(stack, spacing, damping)
        level.inner.down, level.inner.up = restriction(spacing), Prolongation()
        level, spacing = level.inner.net, 2 * spacing
    smooth(level, spacing, 1.0)
    net.close = nn.Identity()
    with torch.no_grad():
        net.head.weight.copy_(kernel((U, U, torch.ones(1, 1)))[:1])
    return net


def jacobi(sweeps: int, side: int, damping: float = 0.8) -> nn.Module:
    """A residual net without levels that is damped Jacobi: as many sweeps as it has branches.

    Shapes: u and f `[B, 2, side, side]` to u `[B, 1, side, side]`, in double precision.
    """
    branches = [smoother(1 / (side + 1), damping)[0] for _ in range(sweeps)]
    head = fixed(Conv(2, 1, 1), kernel((U, U, torch.ones(1, 1)))[:1])
    return nn.Sequential(Stack(branches, [Residual(s) for s in Site.line(2, sweeps, -3)]), head)


class KeepsData(Connection):
    r"""The control of a V-cycle: the long skip carries the right-hand side, and drops the solution.

    Equation: (u, f)' = (0, f) + F(u, f)
    State: one tensor of two channels.
    """

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return torch.cat([torch.zeros_like(state[:, :1]), state[:, 1:]], 1) + y


class Inside(nn.Module):
    """Sets the last row and column to 0: the padding of the image is the boundary."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[..., :-1, :-1], (0, 1, 0, 1))


class Prolongation(nn.ConvTranspose2d):
    """Bilinear interpolation of u from every second point, 1, 3, 5, ...; f becomes 0."""

    def __init__(self) -> None:
        super().__init__(2, 2, 3, 2, bias=False, dtype=torch.float64)
        fixed(self, kernel((U, U, TENT / 4)))

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(input, output_size)[..., :-1, :-1]


def smooth(stack: Any, spacing: float, damping: float) -> None:
    """Makes every branch of a stack a step of damped Jacobi."""
    for index in range(len(stack.branches)):
        stack.branches[index] = smoother(spacing, damping)


def smoother(spacing: float, damping: float) -> nn.Sequential:
    """The update of u by a step of damped Jacobi, w h^2 / 4 (f - A u); f stays."""
    one = F.pad(torch.ones(1, 1, dtype=torch.float64), (1, 1, 1, 1))
    entries = (U, U, damping / 4 * CROSS), (U, RHS, damping / 4 * spacing**2 * one)
    return nn.Sequential(fixed(Conv(2, 2, 3), kernel(*entries)), Inside())


def restriction(spacing: float) -> nn.Sequential:
    """The problem of the coarser grid: u = 0, and f the residual by full weighting."""
    one = F.pad(torch.ones(1, 1, dtype=torch.float64), (1, 1, 1, 1))
    residual = kernel((RHS, U, CROSS / spacing**2), (RHS, RHS, one))
    weighting = fixed(Downsample(2), kernel((RHS, RHS, TENT / 16)))
    return nn.Sequential(fixed(Conv(2, 2, 3), residual), Inside(), weighting, Inside())


def kernel(*entries: tuple[int, int, Tensor]) -> Tensor:
    """A kernel of two channels to two, zero but for what is given as (to, from, weights)."""
    size = entries[0][2].shape
    weight = torch.zeros(2, 2, *size, dtype=torch.float64)
    for out, source, values in entries:
        weight[out, source] = values
    return weight


def fixed(layer: Any, weight: Tensor) -> Any:
    """A layer in double precision with such weights, and a bias of zero."""
    layer.double()
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer
