"""Charts as panels of figures for papers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from zoo.compare.report.chart import Chart, Series
from zoo.compare.report.style import DASHES, MARKERS, look
from zoo.html.document import LIGHT
from zoo.probes.plots import MARKS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE: dict[str, Any] = {"color": "0.4", "linewidth": 0.8, "linestyle": ":"}
PUBLISHED: dict[str, Any] = {"color": "0.45", "linewidth": 0.8, "linestyle": "--"}
EFFECT: dict[str, Any] = {"color": "0.88"}
EVENT_MARKERS = {"end": "x", "chosen": "o", **{kind: marker for kind, (marker, _) in MARKS.items()}}
STREAMS: dict[str, Any] = {
    "before": {"linestyle": ":", "linewidth": 1.0, "fillstyle": "none"},
    "after": {"linestyle": "-", "linewidth": 1.4},
}
LONG_TICKS = 40  # letters of all ticks above which they are turned


def draw(axis: Axes, chart: Chart, title: str = "", measure: str = "", most: int = 40) -> None:
    """Draws a chart in a panel of a figure; texts from users are drawn literally.

    Args:
        axis: panel to draw in.
        chart: to draw.
        title: above the panel; empty: that of the chart.
        measure: whose series are drawn, of a chart that has several.
        most: letters of the title, and of that of the axis below.
    """
    for series in chart.series:
        if series.measure == measure:
            draw_series(axis, series)
    if chart.level is not None:
        axis.axhline(chart.level, **CHANCE)
    for x, y, text in chart.notes:
        axis.annotate(text, (x, y), xytext=(6, 0), textcoords="offset points", va="center",
                      fontsize=8)  # fmt: skip
    axis.set_title(plain(title or chart.title, most), fontsize=10)
    axis.set_xlabel(plain(chart.x.title, most))
    axis.set_ylabel(plain(measure or chart.y.title))
    axis.grid(alpha=0.3)
    if chart.y.logarithmic:
        axis.set_yscale("log")
    if chart.x.at:
        axis.set_xticks(chart.x.at, [plain(text, 16) for text in chart.x.names])
        if max(map(len, chart.x.names)) * len(chart.x.names) > LONG_TICKS:
            axis.tick_params(axis="x", labelrotation=30)
    else:
        axis.locator_params(axis="x", nbins=6, integer=chart.band is None)
    if chart.y.at or not chart.series:
        axis.set_yticks(chart.y.at, [plain(text, 45) for text in chart.y.names], fontsize=8)
        axis.grid(visible=False, axis="y")
    if chart.x.range:
        axis.set_xlim(chart.x.range)
    if chart.y.range:
        axis.set_ylim(chart.y.range)
    if chart.band is not None:
        ends = chart.centre - chart.band, chart.centre + chart.band
        axis.axvspan(*ends, color="0.85", zorder=0)
        axis.axvline(chart.centre, color="0.2", linewidth=0.8)


def draw_series(axis: Axes, s: Series) -> None:
    """Draws one series in a panel."""
    x, y = ([math.nan if v is None else v for v in values] for values in (s.x, s.y))
    style, dash = style_of(s.arm), DASHES[look(s.arm).dash]
    if s.kind == "runs":
        color, marker = style.values()
        for hollow in {*s.hollow}:
            alike = [each == hollow for each in s.hollow]
            at, values = list(compress(x, alike)), list(compress(y, alike))
            axis.scatter(at, values, s=14, marker=marker, edgecolor=color, alpha=0.6,
                         facecolor="none" if hollow else color, linewidth=0.8)  # fmt: skip
    elif s.kind == "mean":
        axis.plot(x, y, **style, markersize=5, linestyle=dash, linewidth=1.5)
    elif s.kind == "pairs":
        axis.scatter(x, y, s=9, alpha=0.6, linewidth=0, **style)
    elif s.kind == "gap":
        bars = None if s.low is None or s.high is None else [[x[0] - s.low], [s.high - x[0]]]
        axis.errorbar(x, y, xerr=bars, **style, markersize=6, capsize=3, linestyle="none",
                      elinewidth=1.5, fillstyle="none" if any(s.hollow) else "full")  # fmt: skip
    elif s.kind == "effect":
        axis.fill(x, y, **EFFECT, zorder=0, linewidth=0)
    elif s.kind == "published":
        axis.plot(x, y, **PUBLISHED, zorder=1)
        axis.annotate(plain(s.name, 20), (x[-1], y[-1]), xytext=(14, 0), va="center", fontsize=6.5,
                      textcoords="offset points", color="0.35")  # fmt: skip
    elif s.kind in STREAMS:
        axis.plot(x, y, **style, **STREAMS[s.kind], markersize=3)
    elif s.kind in EVENT_MARKERS:
        size = 13 if s.kind == "chosen" else 7
        axis.plot(x, y, **style | {"marker": EVENT_MARKERS[s.kind]}, markersize=size,
                  linestyle="none", fillstyle="none")  # fmt: skip
    else:
        last = [i - 1 for i, value in enumerate(x) if math.isnan(value)]
        axis.plot(x, y, **style, linestyle=dash, linewidth=0.9, alpha=0.8, markevery=last,
                  markersize=4)  # fmt: skip


def style_of(arm: int) -> dict[str, Any]:
    """The colour and the marker of an arm, as matplotlib names them."""
    style = look(arm)
    return {"color": LIGHT[style.index], "marker": MARKERS[style.symbol]}


def legend(figure: Figure, arms: Sequence[str], charts: Sequence[Chart]) -> None:
    """Adds one legend for all panels below them.

    Args:
        figure: that has the panels.
        arms: names of all arms.
        charts: that the panels show, for what else needs a name.
    """
    from matplotlib.lines import Line2D

    series = [s for chart in charts for s in chart.series]
    by_depth = any(s.kind in STREAMS for s in series)
    dashes = ["none" if by_depth else DASHES[look(i).dash] for i in range(len(arms))]
    looks = [{**style_of(i), "markersize": 5, "linestyle": dash} for i, dash in enumerate(dashes)]
    names = [f" {plain(arm, 24)}" for arm in arms]  # a name with a leading _ would be left out
    if any(chart.level is not None for chart in charts):
        looks.append(CHANCE)
        names.append("chance")
    if any(s.kind == "published" for s in series):
        looks.append(PUBLISHED)
        names.append("published")
    if any(s.kind == "gap" and any(s.hollow) for s in series):
        looks.append({"color": "0.3", "marker": "o", "fillstyle": "none", "linestyle": "none"})
        names.append("exploratory")
    for kind, name in (("before", "at the start"), ("after", "at the end")):
        if any(s.kind == kind for s in series):
            looks.append({"color": "0.3", **STREAMS[kind]})
            names.append(name)
    if any(s.kind == "effect" for s in series):
        looks.append(EFFECT | {"linewidth": 8})
        names.append("smallest effect")
    handles = [Line2D([], [], **style) for style in looks]
    columns = min(int(figure.get_figwidth() / 1.6), len(names))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
