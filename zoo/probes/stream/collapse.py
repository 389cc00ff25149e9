"""Collapse: how alike nodes, tokens, positions and examples become on their way through a net."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.probes.plots import color, legend_below, new_figure, plain, scale
from zoo.probes.profiles import (
    class_separation,
    dirichlet_energy,
    effective_rank,
    mean_average_distance,
    token_similarity,
)
from zoo.probes.watch.untouched import untouched
from zoo.stack import Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Profile = tuple[float, ...]


@dataclass(frozen=True)
class Collapse:
    """Measures of a stream by depth; NaN where one is undefined, as the cosine of zeros is.

    Args:
        dirichlet_energy: between members of one example: nodes, tokens or positions.
        mean_average_distance: the mean cosine distance between them.
        mean_cosine: the mean cosine between all members of one example.
        example_cosine: the mean cosine between examples, each the mean of its members.
        effective_rank: of all members of all examples.
        class_separation: of members or examples that have labels.
    """

    dirichlet_energy: Profile
    mean_average_distance: Profile
    mean_cosine: Profile
    example_cosine: Profile
    effective_rank: Profile
    class_separation: Profile


@torch.no_grad()
def collapse(
    values: Stack | Iterable[Tensor],
    *inputs: Any,
    edge_index: Tensor | None = None,
    labels: Tensor | None = None,
) -> Collapse:
    r"""How alike the members of examples, and the examples, are at every depth of a stream.

    Members are the nodes of a graph, `[N, C]`, the tokens of texts, `[B, T, C]`, or the positions
    of images, `[B, C, H, W]`. Equations and sources are those of the measures in
    `zoo.probes.profiles`. One depth is measured at a time.

    Args:
        values: of the stream, by depth; or a stack, whose value is measured before the first
            branch and after every write, in the mode in which the stack is.
        inputs: of the stack.
        edge_index: `[2, E]` edges between members, both directions listed, without self-loops,
            for energy and distance. None: between all members.
        labels: the class of every member, `[N]` or `[B, T]`, or of every example, `[B]`.

    Errors:
        ValueError: a value has another number of axes; labels fit neither members nor examples;
            inputs without a stack.

    >>> result = collapse([torch.eye(3), torch.ones(3, 3)])
    >>> [round(value, 3) for value in result.effective_rank]
    [3.0, 1.0]
    >>> result.mean_average_distance
    (1.0, 0.0)
    """
    if inputs and not isinstance(values, Stack):
        raise ValueError("collapse takes inputs with a stack alone")
    with untouched(values) if isinstance(values, Stack) else nullcontext():
        if isinstance(values, Stack):
            values = map(values.close, values.states(*inputs))
        rows = [at_depth(members(value), edge_index, labels) for value in values]
    return Collapse(*zip(*rows, strict=True))


def members(value: Tensor) -> Tensor:
    """A stream's value as `[B, M, C]`: M members of B examples."""
    if value.ndim == 2:
        return value[None]
    if value.ndim == 4:
        return value.flatten(2).transpose(1, 2)
    if value.ndim != 3:
        shape = list(value.shape)
        raise ValueError(f"collapse needs [N, C], [B, T, C] or [B, C, H, W], got {shape}")
    return value


def at_depth(x: Tensor, edge_index: Tensor | None, labels: Tensor | None) -> Profile:
    """The measures of `Collapse` in their order, for members `[B, M, C]` at one depth."""
    examples = x.mean(1)
    nothing = not x.any()
    among = math.nan if nothing or x.shape[1] < 2 else None
    between = math.nan if nothing or len(x) < 2 else None
    return (
        float(dirichlet_energy(x, edge_index)) if x.shape[1] > 1 else math.nan,
        float(mean_average_distance(x, edge_index)) if among is None else among,
        float(token_similarity(x)) if among is None else among,
        float(token_similarity(examples[None])) if between is None else between,
        float(effective_rank(x)),
        math.nan if nothing or labels is None else separation(x, examples, labels),
    )


def separation(x: Tensor, examples: Tensor, labels: Tensor) -> float:
    """The class separation of members or of examples, whichever the labels count."""
    for features in (x.flatten(0, 1), examples):
        if labels.numel() == len(features):
            return float(class_separation(features, labels.flatten()))
    raise ValueError(f"{labels.numel()} labels for {len(x)} examples of {x.shape[1]} members")


SHOWN = {  # measures in a figure, with what collapse looks like
    "dirichlet_energy": ("Dirichlet energy / |x|²", "0: members are alike"),
    "mean_average_distance": ("mean average distance", "0: members are alike"),
    "mean_cosine": ("mean cosine of members", "1: members are alike"),
    "example_cosine": ("mean cosine of examples", "1: examples are alike"),
    "effective_rank": ("effective rank", "1: one direction is left"),
    "class_separation": ("class separation", "0: classes are mixed"),
}
LOGARITHMIC = ("dirichlet_energy", "mean_average_distance")
FLOOR = 1e-8


def collapse_figure(result: Collapse | Mapping[str, Collapse]) -> Figure:
    """A figure of every measure of collapse by depth; measures that are nowhere known are left out.

    Args:
        result: of one net, or of several under their labels.
    """
    results = {"": result} if isinstance(result, Collapse) else result
    lines = {
        field.name: {label: getattr(one, field.name) for label, one in results.items()}
        for field in fields(Collapse)
    }
    known = {
        name: by_label
        for name, by_label in lines.items()
        if any(math.isfinite(value) for values in by_label.values() for value in values)
    }
    columns = max(1, min(3, len(known)))
    rows = max(1, -(-len(known) // columns))
    figure = new_figure(3.1 * columns, 2.9 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis, (name, by_label) in zip(axes, known.items(), strict=False):
        draw(axis, name, by_label)
    for axis in axes[len(known) :]:
        axis.remove()
    if "" not in results and known:
        legend_below(figure, axes[0])
    return figure


def draw(axis: Any, name: str, by_label: Mapping[str, Sequence[float]]) -> None:
    """Draws one measure by depth for every label."""
    title, sign = SHOWN[name]
    for number, (label, values) in enumerate(by_label.items()):
        shown = [max(v, FLOOR) for v in values] if name in LOGARITHMIC else values
        axis.plot(range(len(values)), shown, "o-", markersize=3, color=color(number),
                  label=plain(label))  # fmt: skip
    if name in LOGARITHMIC:
        scale(axis)
    elif name != "effective_rank":
        axis.set_ylim(min(0, axis.get_ylim()[0]), 1.03)
    else:
        axis.set_ylim(0, None)
    axis.locator_params(axis="x", integer=True)
    axis.set_title(f"{title}\n({sign})", fontsize=9)
    axis.set_xlabel("writes so far")
    axis.grid(alpha=0.3)
