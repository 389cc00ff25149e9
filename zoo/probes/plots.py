"""Figures of mixing matrices, learning curves, and measures of the stream by depth."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

# of arms and nets: Okabe and Ito 2008, darkened for white paper; contrast over 3
COLORS = ("#4a4a4a", "#0072b2", "#c94f00", "#00805c", "#a6508a", "#8a6d00", "#2f7fb8")
MARKS = {  # of events
    "spike": ("v", "loss above 10x the usual"),
    "skip": ("x", "not finite, left out"),
    "rollback": ("<", "not finite, went back"),
}


def new_figure(width: float, height: float) -> Figure:
    """A figure without a window; sides in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def color(number: int) -> str:
    """The colour of a net in a figure by its number, as of an arm in a report."""
    return COLORS[number % len(COLORS)]


def plain(text: object, most: int = 40) -> str:
    r"""A user's text for a figure: on one line, without formulas, cut to a length.

    >>> plain("$x$ and so on", 8), plain("\x1b[1m")
    ('\\$x\\$ and…', '\\x1b[1m')
    """
    return cut(text, most).replace("$", r"\$")


def scale(axis: Axes) -> None:
    """Makes the y-axis of positive values logarithmic where they span ten times or more.

    Elsewhere it begins at 0.
    """
    from matplotlib.ticker import LogLocator

    low, high = axis.dataLim.intervaly
    if not high >= 10 * low > 0:
        axis.set_ylim(bottom=0)
        return
    axis.set_yscale("log")
    if high < 100 * low:
        axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for formatter in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            formatter("{x:g}")


def legend_below(figure: Figure, axis: Axes) -> None:
    """Draws the legend of one axis below all of them."""
    handles, labels = axis.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)),
                      frameon=False, fontsize=9)  # fmt: skip


def save(figure: Figure, path: Path) -> None:
    """Writes a figure to a file; letters that the font lacks become boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(path)


def mixing_figure(matrices: Mapping[str, Tensor], columns: int = 4) -> Figure:
    """A figure of mixing matrices side by side: row = input of a branch, column = a term of it.

    `y_0` is the embedding, `y_j` the output of branch j - 1; `x_l` is the input of branch l.
    """
    from matplotlib.colors import Normalize

    count = len(matrices)
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(2.5 * columns + 0.8, 2.6 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    limit = max(1.0, *(float(matrix.abs().max()) for matrix in matrices.values()))
    negative = any(float(matrix.min()) < 0 for matrix in matrices.values())
    shown = None
    for axis, (name, matrix) in zip(axes.flat, matrices.items(), strict=False):
        values = matrix.detach().float().cpu().numpy()
        upper = np.triu(np.ones_like(values, dtype=bool), 1)
        shown = axis.imshow(
            np.ma.array(values, mask=upper),
            norm=Normalize(-limit if negative else 0, limit),
            cmap="RdBu_r" if negative else "Reds",
        )
        axis.set_title(plain(name), fontsize=10)
        last = len(values) - 1
        axis.set_xticks([0, last], ["$y_0$", f"$y_{{{last}}}$"], fontsize=8)
        axis.set_yticks([0, last], ["$x_0$", "out"], fontsize=8)
        for side in axis.spines.values():
            side.set_color("0.8")
    for axis in axes.flat[count:]:
        axis.set_visible(False)
    if shown is not None:
        figure.colorbar(shown, ax=axes, shrink=0.6, label="weight of $y_j$ in $x_l$")
    return figure


def together(matrices: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The matrices without repetition: equal ones become one, under their joined names."""
    names: dict[int, list[str]] = {}
    values = list(matrices.values())
    for name, matrix in matrices.items():
        first = next(
            number
            for number, other in enumerate(values)
            if other.shape == matrix.shape and other.allclose(matrix, atol=1e-6)
        )
        names.setdefault(first, []).append(name)
    return {", ".join(alike): values[number] for number, alike in names.items()}


def rules_figure(length: int = 8) -> Figure:
    """A figure of the initial mixing matrices of all registered rules that have one.

    Args:
        length: number of branches.
    """
    from zoo.config import registry
    from zoo.connection import Site
    from zoo.probes.mixing import mixing

    matrices = {}
    for name in registry.names("connection"):
        options = registry.options("connection", name)
        if options.get("dynamic"):
            options["dynamic"] = False
        connect = registry.factory("connection", name, options)
        sites = [connect(site) for site in Site.line(4, length)]
        if all(connection.linear for connection in sites):
            matrices[name] = mixing(sites)
    return mixing_figure(together(matrices))


def depth_figure(name: str, lines: Mapping[str, Sequence[float]], title: str) -> Figure:
    """A figure of one measure of the stream by depth, logarithmic unless it is a similarity.

    Args:
        name: of the measure.
        lines: values by depth, for each label.
        title: of the figure.
    """
    figure = new_figure(5, 3.4)
    axis = figure.subplots()
    similarity = name.endswith("similarity")
    for number, (label, values) in enumerate(lines.items()):
        shown = values if similarity else [max(value, 1e-6) for value in values]
        axis.plot(range(len(values)), shown, "o-", markersize=3, color=color(number),
                  label=plain(label))  # fmt: skip
    if similarity:
        axis.set_ylim(min(0, *(min(values) for values in lines.values())), 1.03)
    else:
        axis.set_yscale("log")
    axis.locator_params(axis="x", integer=True)
    axis.set_title(plain(title, 60), fontsize=10)
    axis.set_xlabel("writes so far")
    axis.set_ylabel(name.replace("_", " "))
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return figure


def curves_figure(
    rows: Sequence[Mapping[str, Any]], title: str, events: Sequence[Mapping[str, Any]] = ()
) -> Figure:
    """A figure of a run's learning curves: the loss and each metric of the validation.

    Args:
        rows: of its log.
        title: of the figure.
        events: of its result, drawn as marks on the upper edge of the loss.
    """
    names = {key for row in rows for key in row if key == "train/loss" or key[:4] == "val/"}
    measured = {name.partition("/")[2] for name in names if name.count("/") == 1}
    metrics = sorted(measured, key=lambda metric: (metric != "loss", metric))
    figure = new_figure(4.2 * max(1, len(metrics)), 3.4)
    figure.suptitle(plain(title, 60), fontsize=10)
    axes = figure.subplots(1, max(1, len(metrics)), squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=False):
        highest: list[float] = []
        for part, shade in (("train", "C0"), ("val", "C1")):
            name = f"{part}/{metric}"
            points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
            if points:
                highest.append(max(value for _, value in points))
                axis.plot(
                    *zip(*points, strict=True), label=part, linewidth=1.2, marker=".", color=shade
                )
        axis.set_ylim(0, 1 if metric == "accuracy" else 1.1 * max(highest, default=1.0))
        for kind, (mark, label) in MARKS.items() if metric == "loss" else ():
            steps = [event["step"] for event in events if event["kind"] == kind]
            if steps:
                edge: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "clip_on": False}
                axis.plot(steps, [1.0] * len(steps), mark, color="C3", label=label, **edge)
        axis.set_xlabel("step")
        axis.set_ylabel(metric.replace("_", " "))
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    return figure
