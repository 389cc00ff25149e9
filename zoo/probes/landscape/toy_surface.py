"""The smallest loss surface that a skip changes: two linear layers of one weight each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, vmap

from zoo.connection import Site
from zoo.connections.additive import Plain, Residual
from zoo.probes.plots import new_figure
from zoo.stack import Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Skip = Literal["none", "block", "layer"]
NAMES = {
    "none": "no skip: $v w x$",
    "block": "skip around both: $x + v w x$",
    "layer": "skip around each: $(1 + v)(1 + w) x$",
}


@dataclass(frozen=True)
class Point:
    """A point of a surface, and what it is there.

    Args:
        weights: the two weights.
        loss: of the net there.
        slope: norm of the gradient.
        eigenvalues: of the Hessian, the smaller one first.
    """

    weights: tuple[float, float]
    loss: float
    slope: float
    eigenvalues: tuple[float, float]

    @property
    def kind(self) -> str:
        """`slope`, `saddle`, `minimum` (the loss is 0, its least) or `flat`."""
        if self.slope > 1e-9:
            return "slope"
        if self.eigenvalues[0] < -1e-9:
            return "saddle"
        return "minimum" if self.loss < 1e-9 else "flat"


@dataclass(frozen=True)
class ToySurface:
    """The loss of a two-layer net by its two weights.

    Args:
        skip: where the net has a skip.
        target: the number that the net should multiply by.
        steps: `[n]` values of each weight.
        gain: `[n, n]` what the net multiplies by, the first axis for the first layer's weight.
        origin: the point where both weights are 0.
        saddle: the point where the net's two factors are 0.
    """

    skip: Skip
    target: float
    steps: Tensor
    gain: Tensor
    origin: Point
    saddle: Point

    @property
    def loss(self) -> Tensor:
        """`[n, n]` as `gain`: half of the squared distance from the target."""
        return (self.gain - self.target).square() / 2


def toy_net(skip: Skip) -> Stack:
    """Two linear layers of one weight each on a stream, in double precision."""
    layers = [nn.Linear(1, 1, bias=False) for _ in range(2)]
    if skip == "block":
        return Stack([nn.Sequential(*layers)], [Residual(Site(1))]).double()
    rule = Residual if skip == "layer" else Plain
    return Stack(layers, [rule(site) for site in Site.line(1, 2)]).double()


def toy_surface(
    skip: Skip, target: float = 1.0, points: int = 81, reach: float = 2.0
) -> ToySurface:
    r"""The loss of a net of two weights that should learn to multiply by a number.

    Without a skip the origin is a saddle, of eigenvalues -t and t, unless the target is 0. A skip
    around both layers asks the same layers for t - 1 in place of t: the origin is a saddle of
    eigenvalues -|1 - t| and |1 - t|, and a minimum if the target is the identity. So it is the
    target that says which of the two starts at a saddle: at t = 0 the net with the skip does and
    the one without starts at a minimum, at t = 1 it is the other way round. A skip around each
    layer moves the saddle away from the origin, to -1 for both weights: of the points where both
    weights are smaller than 1 those with a slope of 0 are minima.

    Equation: L(v, w) = (f(1) - t)^2 / 2 with f(x) = v w x, x + v w x or (1 + v)(1 + w) x
    Source: Hardt and Ma 2017, arXiv:1611.04231, section 2 (skips around each linear layer have no
        critical points but minima near the origin).

    Args:
        skip: `none`, around both layers (`block`) or around each (`layer`).
        target: t.
        points: of the grid, along each weight.
        reach: largest weight of the grid, and minus the smallest.

    >>> toy_surface("none").origin.kind, toy_surface("block").origin.kind
    ('saddle', 'minimum')
    >>> toy_surface("none", target=0.0).origin.kind, toy_surface("block", target=0.0).origin.kind
    ('minimum', 'saddle')
    """
    net = toy_net(skip)
    names = [name for name, _ in net.named_parameters()]
    one = torch.ones(1, 1, dtype=torch.float64)

    def gain(weights: Tensor) -> Tensor:
        values = {n: w.view(1, 1) for n, w in zip(names, weights, strict=True)}
        return functional_call(net, values, (one,)).sum()

    def loss(weights: Tensor) -> Tensor:
        return (gain(weights) - target).square() / 2

    def point(v: float, w: float) -> Point:
        at = torch.tensor([v, w], dtype=torch.float64)
        low, high = torch.linalg.eigvalsh(hessian(loss)(at)).tolist()
        return Point((v, w), float(loss(at)), float(grad(loss)(at).norm()), (low, high))

    steps = torch.linspace(-reach, reach, points, dtype=torch.float64)
    grid = torch.cartesian_prod(steps, steps)
    values = vmap(gain)(grid).view(points, points).detach()
    zero = -1.0 if skip == "layer" else 0.0
    return ToySurface(skip, target, steps, values, point(0.0, 0.0), point(zero, zero))


def toy_figure(targets: Sequence[float] = (1.0, 0.0)) -> Figure:
    """A figure of the toy's surfaces: a row for each target, a column for each place of the skip.

    The curve where the loss is 0 is white. The start of a net whose layers begin near 0 is marked
    by a dot, and the saddle by a cross where it is another point.
    """
    columns: Sequence[Skip] = ("none", "block", "layer")
    figure = new_figure(9.6, 3.1 * len(targets))
    axes = figure.subplots(len(targets), len(columns), squeeze=False, sharex=True, sharey=True)
    for row, target in zip(axes, targets, strict=True):
        for axis, skip in zip(row, columns, strict=True):
            shape = toy_surface(skip, target)
            levels = torch.linspace(0, 2.5, 21).tolist()
            x, y = shape.steps, shape.steps
            drawn = axis.contourf(x, y, shape.loss.T.clamp(max=2.5), levels=levels, cmap="viridis")
            axis.contour(x, y, shape.gain.T, levels=[target], colors="white", linewidths=1.2)
            low, high = shape.origin.eigenvalues
            axis.plot(0, 0, "o", color="C3", label=f"start: {shape.origin.kind}")
            if shape.saddle.weights != shape.origin.weights:
                axis.plot(*shape.saddle.weights, "X", color="C1", label=shape.saddle.kind)
            axis.set_title(f"{NAMES[skip]}\neigenvalues at 0: {low:.3g}, {high:.3g}", fontsize=9)
            axis.legend(loc="upper left", fontsize=8)
            axis.set_aspect("equal")
        row[0].set_ylabel(f"target $t = {target:g}$\nsecond weight $w$")
    for axis in axes[-1]:
        axis.set_xlabel("first weight $v$")
    figure.colorbar(drawn, ax=axes, shrink=0.7, label="loss", ticks=[0, 0.5, 1, 1.5, 2, 2.5])
    return figure
