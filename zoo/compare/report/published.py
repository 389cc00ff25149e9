"""Rows of papers beside the runs: declared with the comparison, drawn as thin grey lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.compare.analysis.record import Place, Record
from zoo.compare.report.charts import Chart, safe
from zoo.compare.report.matplotlib_style import plain
from zoo.compare.report.words import number
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOM = 2.8  # for the names behind the lines, in doublings of the depth
Published = dict[str, dict[str, dict[str, float]]]  # task, name of the row, score at each depth


@dataclass(frozen=True)
class Line:
    """Scores of a paper.

    Args:
        name: of the net and its paper.
        depths: in rising order.
        values: the score at each.
    """

    name: str
    depths: list[int]
    values: list[float]

    @property
    def places(self) -> list[float]:
        """Where the depths stand."""
        return [math.log2(depth) for depth in self.depths]


def checked(published: dict[str, dict[str, Any]]) -> Published:
    """The same with text for keys, as JSON has it; ConfigError where a score is no number."""
    found: Published = {}
    for task, rows in published.items():
        for name, row in rows.items():
            own = found.setdefault(task, {}).setdefault(name, {})
            for depth, value in sorted(row.items()):
                if not (type(depth) is int and depth > 0 and type(value) in (int, float)):
                    where = f"published.{task}.{name}"
                    raise ConfigError(f"{depth}: {value} is refused", where, "give DEPTH: SCORE")
                own[str(depth)] = float(value)
    return found


def lines(record: Record, places: Sequence[Place]) -> Iterator[Line]:
    """What papers published for the task and the depths of these places."""
    shown = [place.depth for place in places]
    rows = record.declared.published.get(places[0].task, {})
    if all(isinstance(depth, int) for depth in shown):
        for name, row in rows.items():
            known = {int(depth): value for depth, value in row.items()}
            depths = [depth for depth in known if min(shown) <= depth <= max(shown)]
            if depths:
                yield Line(name, depths, [known[depth] for depth in depths])


def added(chart: Chart, found: Sequence[Line]) -> Chart:
    """A chart of test scores with the lines."""
    for line in found:
        texts = [f"{safe(line.name)}, published: {number(value)}" for value in line.values]
        last = [""] * (len(texts) - 1) + [safe(line.name)]
        chart.traces.append(
            {
                "type": "scatter", "mode": "lines+text", "x": line.places, "y": line.values,
                "hoverinfo": "text", "hovertext": texts,
                "text": last, "textposition": "middle right",
                "textfont": {"size": 10, "color": "@soft"},
                "line": {"color": "@soft", "width": 1, "dash": "dash"},
            }
        )  # fmt: skip
        pairs = list(zip(line.depths, line.values, strict=True))
        own = ([depth, f"{line.name}, published", number(value), ""] for depth, value in pairs)
        chart.rows = [*chart.rows, *own]
        told = ", ".join(f"{number(value)} at {depth}" for depth, value in pairs)
        chart.words += f" {line.name}, published: {told}."
    if found:
        chart.layout["xaxis"]["range"][1] += ROOM
    return chart


def draw(axis: Axes, found: Sequence[Line]) -> None:
    """The lines in a panel of a figure."""
    for line in found:
        axis.plot(line.places, line.values, color="0.45", linewidth=0.8, linestyle="--", zorder=1)
        end = (line.places[-1], line.values[-1])
        axis.annotate(plain(line.name, 20), end, xytext=(14, 0), textcoords="offset points",
                      va="center", fontsize=6.5, color="0.35")  # fmt: skip
    if found:
        axis.set_xlim(right=max(line.places[-1] for line in found) + ROOM)
