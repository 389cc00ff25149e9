"""The Euler view: whether a trained net is a differential equation, or only looks like one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.probes.echoes.flow import EXACT, Field, Weights
from zoo.probes.plots import color, new_figure, plain
from zoo.probes.watch.cut_net import accuracy, only_stack
from zoo.probes.watch.untouched import replaced, untouched

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Batch = Any


@dataclass(frozen=True)
class Euler:
    """The Euler view of a net of L blocks.

    Args:
        weights: how blocks are filled in between: `shared` or `interpolated`.
        blocks: L; the net as it is has so many steps.
        steps: numbers of Euler steps that were tried.
        score: of the net with each of them.
        flow: the score of the exact flow.
        order: the slope of the logarithm of the error by that of the step, fine steps only.
        contraction: for each number of steps the largest step times Lipschitz constant that was
            seen on the way of the batch; below 1 a step can be inverted by a fixed point.
        inversion: for each, the largest error of the inverted batch over its largest value; inf
            where the fixed point was not reached.
    """

    weights: Weights
    blocks: int
    steps: tuple[int, ...]
    score: tuple[float, ...]
    flow: float
    order: float
    contraction: tuple[float, ...]
    inversion: tuple[float, ...]

    @property
    def inverted(self) -> tuple[bool, ...]:
        """For each number of steps, whether the inversion succeeded."""
        return tuple(error < EXACT for error in self.inversion)


def euler(
    net: nn.Module,
    batch: Batch,
    steps: Sequence[int] | None = None,
    weights: Weights = "shared",
    score: Callable[[nn.Module, Batch], float] = accuracy,
) -> Euler:
    r"""What other numbers of steps do to a trained net, taken as Euler's method for a flow.

    Equation: x_{l+1} = x_l + d_l(x_l) with d_l(x) = write(x, F_l(x)) - x is a step of size 1 of
        dx/dt = d(t, x). With m steps for every block it is x' = x + d(t, x) / m; with one step for
        g blocks x' = x + g d(t, x). `shared` weights are those of block l for l <= t < l + 1;
        `interpolated` ones lie on the line between those of blocks l and l + 1.
        Inversion: x <- x' - h d(t, x), which contracts where h Lip(d) < 1.
    Source: Chen et al. 2018, arXiv:1806.07366; Ott et al. 2020, arXiv:2007.15386 (a net that was
        trained with few steps needs just these); Sander et al. 2022, arXiv:2205.14612 (limit);
        Behrmann et al. 2019, arXiv:1811.00995, algorithm 1 (inversion).

    One step for the whole net is among the numbers: a net that does as well with it says nothing
    about flows. So does a net that was trained with one block; probe it beside the others. Modes
    stay as they are. The flow, its order and the inversion are computed in double precision.

    Args:
        net: with one `Stack` whose state is one tensor of one shape.
        batch: what the score takes.
        steps: divisors and multiples of the number of blocks L. None: 1, L / 2 where L
            is even, L, 2 L, 4 L.
        weights: of the steps between two blocks.
        score: of a net on a batch.

    Errors:
        ValueError: no stack or several; a state of several tensors, or a change of shape; a number
            of steps that neither divides L nor is a multiple of it; weights to interpolate of
            different shapes.

    >>> from zoo.connection import Site
    >>> from zoo.connections.additive import Residual
    >>> from zoo.stack import Stack
    >>> stack = Stack([nn.Linear(4, 4), nn.Linear(4, 4)], [Residual(s) for s in Site.line(4, 2)])
    >>> x, labels = torch.randn(8, 4), torch.arange(8) % 4
    >>> result = euler(stack, (x, labels))
    >>> result.steps, 0.8 < result.order < 1.2
    ((1, 2, 4, 8), True)
    """
    stack = only_stack(net)
    length = len(stack.branches)
    half = [length // 2] if length % 2 == 0 else []
    usual = sorted({1, *half, length, 2 * length, 4 * length})
    counts = usual if steps is None else list(steps)
    for count in counts:
        if count < 1 or (count % length and length % count):
            raise ValueError(f"steps={count} neither divides the {length} blocks nor is a multiple")
    with untouched(net), torch.no_grad():
        field = Field(stack, weights)
        seen: list[tuple[Any, ...]] = []

        def with_steps(count: int) -> Callable[..., Tensor]:
            return lambda x, *args: field.with_steps(x, args, count)

        def as_flow(x: Tensor, *args: Any) -> Tensor:
            seen.append((x, *args))
            return field.flow(x, args)

        scores = []
        for count in counts:
            with replaced(stack, "forward", with_steps(count)):
                scores.append(score(net, batch))
        with replaced(stack, "forward", as_flow):
            flow = score(net, batch)
        (x, *args) = map(doubled, seen[0])
        exact = Field(copy.deepcopy(stack).double(), weights)
        order = exact.order(x, args)
        paths = [exact.path(x, args, count) for count in counts]
        contraction = tuple(exact.contraction(path, args) for path in paths)
        inversion = tuple(exact.inversion(path, args) for path in paths)
    return Euler(weights, length, tuple(counts), tuple(scores), flow, order, contraction, inversion)


def doubled(value: Any) -> Any:
    """A tensor of numbers in double precision; anything else as it is."""
    isreal = isinstance(value, Tensor) and value.is_floating_point()
    return value.double() if isreal else value


def euler_figure(result: Euler | Mapping[str, Euler]) -> Figure:
    """A figure of the score by number of steps, and of the contraction of a step.

    A large mark is the net as it is; a dashed line the exact flow; a cross a number of steps that
    could not be inverted.

    Args:
        result: of one net, or of several under their labels.
    """
    results = {"": result} if isinstance(result, Euler) else result
    figure = new_figure(8.4, 3.5)
    left, right = figure.subplots(1, 2)
    for number, (label, one) in enumerate(results.items()):
        shade, name = color(number), f"{plain(label)}: " if label else ""
        left.plot(one.steps, one.score, "o-", markersize=3, color=shade,
                  label=f"{name}order {one.order:.2f}")  # fmt: skip
        left.axhline(one.flow, linestyle="--", linewidth=0.8, color=shade)
        right.plot(one.steps, one.contraction, "-", color=shade)
        for index, count in enumerate(one.steps):
            mark = "o" if one.inverted[index] else "x"
            right.plot(count, one.contraction[index], mark, markersize=5, color=shade)
            if count == one.blocks:
                left.plot(count, one.score[index], "o", markersize=8, color=shade)
    left.set_title("large: as trained; dashed: the exact flow", fontsize=9)
    left.set_ylabel("score")
    left.set_ylim(0, 1.03)
    left.legend(frameon=False, fontsize=8)
    right.axhline(1, color="0.6", linewidth=0.8)
    right.set_yscale("log")
    right.set_title("x: not inverted by a fixed point", fontsize=9)
    right.set_ylabel("step times Lipschitz constant")
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xlabel("Euler steps")
        axis.grid(alpha=0.3)
    return figure
