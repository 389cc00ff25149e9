"""Figures of a record for papers: scores, gaps and curves, as PNG and SVG."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.compare.across import Row, grouped
from zoo.compare.charts import dodge, label, positions, ticks
from zoo.compare.curves import Curves, measures
from zoo.compare.looks import DASHES, LIGHT, MARKERS, cut, look, visible
from zoo.pictures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_all(record: Row, curves: Curves, folder: Path) -> None:
    """Writes `score`, `gaps` and `curves` as PNG and SVG; the same record gives the same files."""
    import matplotlib

    folder.mkdir(exist_ok=True)
    drawn = {"score": score(record), "gaps": gaps(record), "curves": learning(record, curves)}
    fixed = {"svg.fonttype": "none", "svg.hashsalt": "zoo"}
    with matplotlib.rc_context(fixed), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        for name, figure in drawn.items():
            figure.savefig(folder / f"{name}.png", metadata={"Software": None})
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def plain(text: object, most: int = 40) -> str:
    """Text in which matplotlib sees no formula, short enough for a figure."""
    return cut(visible(text), most).replace("$", r"\$")


def styled(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set_title(plain(title), fontsize=10)
    axis.set_xlabel(plain(x))
    axis.set_ylabel(plain(y))
    axis.grid(alpha=0.3)


def legend(figure: Figure, arms: Sequence[str]) -> None:
    """One legend for all panels, below them."""
    from matplotlib.lines import Line2D

    handles = []
    for i in range(len(arms)):
        style = look(i)
        drawn = {"linestyle": DASHES[style.dash], "marker": MARKERS[style.symbol]}
        handles.append(Line2D([], [], color=LIGHT[style.index], markersize=5, **drawn))
    names = [f" {plain(arm, 24)}" for arm in arms]  # a name with a leading _ would be left out
    figure.legend(
        handles, names, loc="outside lower center", ncols=min(5, len(arms)), frameon=False
    )


def score(record: Row) -> Figure:
    """Test and training score against depth: runs as dots, hollow if diverged, means as lines."""
    families, arms = grouped(record["places"], "family"), list(record["declared"]["arms"])
    figure = new_figure(8.4, 3.0 * len(families) + 0.4)
    panels = figure.subplots(len(families), 2, squeeze=False)
    for row, (family, places) in zip(panels, families, strict=True):
        metric = next((p["metric"] for p in places if p.get("metric")), "test/score")
        name = metric.removeprefix("test/")
        x = positions(places)
        for axis, key, part in zip(row, ("value", "train"), ("test", "training"), strict=True):
            for i, arm in enumerate(arms):
                against(axis, i, len(arms), arm, x, places, record["cells"], key)
            if places[0].get("chance") is not None:
                axis.axhline(places[0]["chance"], color="0.4", linewidth=0.8, linestyle=":")
            axis.set_xticks(x, [plain(text, 16) for text in ticks(places)])
            styled(axis, family, "depth", f"{part} {name}")
    legend(figure, arms)
    return figure


def against(axis: Axes, number: int, arms: int, arm: str, x: Sequence[float],
            places: Sequence[Row], cells: Sequence[Row], key: str) -> None:  # fmt: skip
    """One arm in a panel."""
    style = look(number)
    color, marker = LIGHT[style.index], MARKERS[style.symbol]
    shift = dodge(number, arms, x)
    means = []
    for place, at in zip(places, x, strict=True):
        own = [c for c in cells if c["place"] == place["title"] and c["arm"] == arm]
        own = [c for c in own if c.get(key) is not None]
        values = [c[key] for c in own]
        means.append(sum(values) / len(values) if values else math.nan)
        for cell in own:
            face = "none" if cell["status"] == "diverged" else color
            axis.scatter([at + shift], [cell[key]], s=14, marker=marker, facecolor=face,
                         edgecolor=color, alpha=0.6, linewidth=0.8)  # fmt: skip
    axis.plot([at + shift for at in x], means, color=color, marker=marker, markersize=5,
              linestyle=DASHES[style.dash], linewidth=1.5)  # fmt: skip


def gaps(record: Row) -> Figure:
    """Every difference of a pair, their mean with its interval, a band of what matters not."""
    families, arms = grouped(record["places"], "family"), list(record["declared"]["arms"])
    counts = [max(1, sum(len(p["contrasts"]) for p in places)) for _, places in families]
    figure = new_figure(6.4, 0.3 * sum(counts) + 0.9 * len(families) + 0.4)
    panels = figure.subplots(len(families), 1, squeeze=False, height_ratios=counts)[:, 0]
    for axis, (family, places) in zip(panels, families, strict=True):
        entries = [(place, c) for place in places for c in place["contrasts"]]
        names = [plain(f"{label(place)}: {c['arm']}") for place, c in entries]
        for y, (_, c) in enumerate(entries):
            if "gap" not in c:
                axis.text(0, y, "no pair has ended", ha="center", va="center", fontsize=8)
                continue
            style, gap = look(arms.index(c["arm"])), c["gap"]
            drawn = {"color": LIGHT[style.index], "marker": MARKERS[style.symbol]}
            dots = c["differences"]
            axis.scatter(dots, [y + 0.27] * len(dots), s=9, alpha=0.6, linewidth=0, **drawn)
            ends = [[0.0], [0.0]]
            if gap["low"] is not None:
                ends = [[gap["value"] - gap["low"]], [gap["high"] - gap["value"]]]
            axis.errorbar([gap["value"]], [y], xerr=ends, markersize=6, capsize=3, **drawn,
                          linestyle="none", elinewidth=0.8 if c["exact_only"] else 1.5)  # fmt: skip
        delta = max([c.get("delta", 0.0) for _, c in entries], default=0.0)
        axis.axvspan(-delta, delta, color="0.85", zorder=0)
        axis.axvline(0, color="0.2", linewidth=0.8)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        metric = (places[0].get("metric") or "score").removeprefix("test/")
        styled(axis, family, f"gap in {metric}, positive: better than the baseline", "")
        axis.grid(visible=False, axis="y")
    return figure


def learning(record: Row, curves: Curves) -> Figure:
    """Every run as a line, in validation where there is one, otherwise the training loss."""
    families, arms = grouped(record["places"], "family"), list(record["declared"]["arms"])
    columns = max((len(places) for _, places in families), default=1)
    figure = new_figure(2.9 * columns + 0.6, 2.6 * len(families) + 0.4)
    panels = figure.subplots(len(families), columns, squeeze=False)
    for row, (_, places) in zip(panels, families, strict=True):
        for axis in row[len(places) :]:
            axis.set_visible(False)
        for axis, place in zip(row, places, strict=False):
            own = [c for c in record["cells"] if c["place"] == place["title"] and c["id"] in curves]
            known = measures(place.get("metric"), (curves[c["id"]] for c in own))
            shown = next((m for m in known if m.startswith("val/")), known[0] if known else "")
            for cell in own:
                style = look(arms.index(cell["arm"]))
                if points := curves[cell["id"]].get(shown):
                    drawn = {"color": LIGHT[style.index], "linestyle": DASHES[style.dash]}
                    axis.plot(*zip(*points, strict=True), **drawn, linewidth=0.9, alpha=0.8,
                              marker=MARKERS[style.symbol], markevery=[-1], markersize=4)  # fmt: skip
            styled(axis, place["title"], "step", shown or "no curves")
    legend(figure, arms)
    return figure
