"""The model of a chart, which `draw_plotly` draws in the page and `draw_matplotlib` for papers.

Texts are as users wrote them; the modules that draw them escape them. A name inside a text stands
between isolates, so that its direction of writing does not spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.summaries import PlaceSummary
from zoo.compare.report.formats import measure_label


@dataclass(frozen=True)
class Axis:
    """An axis.

    Args:
        title: beside the axis.
        at: positions of the ticks; empty: chosen by what draws it.
        names: of the ticks.
        range: first and last value; None: they follow from the series.
        from_zero: whether the axis begins at zero.
        logarithmic: whether it is; values that are not above zero are then not drawn.
    """

    title: str = ""
    at: Sequence[float] = ()
    names: Sequence[str] = ()
    range: tuple[float, float] | None = None
    from_zero: bool = False
    logarithmic: bool = False


@dataclass(frozen=True)
class Series:
    """Points that are drawn alike.

    Args:
        kind: `runs`, marks of runs; `mean`, a line of means; `chosen`, a ring around the best mean;
            `curve`, lines of runs; `before` and `after`, of one run as training begins and ends;
            `end`, where runs diverged; `spike`, `skip` and `rollback`, events; `pairs`,
            differences; `gap`, their median with its interval; `effect`, the corners of a box as
            wide as the smallest effect; `published`, a line of a paper.
        x: of the points; None separates two lines.
        y: of the points; None separates two lines.
        texts: shown at the points.
        arm: number of the arm, which gives colour, marker and dash.
        name: of the arm or of the row of a paper.
        hollow: for each point whether it is not filled: its run diverged, or its gap explores.
        low: lower end of the interval; None without an interval.
        high: upper end of the interval; None without an interval.
        measure: name of the measure, where the reader may choose one.
    """

    kind: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    texts: Sequence[str] = ()
    arm: int = 0
    name: str = ""
    hollow: Sequence[bool] = ()
    low: float | None = None
    high: float | None = None
    measure: str = ""


@dataclass(frozen=True)
class Matrix:
    """A matrix in colours.

    Args:
        values: rows of the matrix; None above the diagonal.
        texts: shown at the values.
        inputs: names of the rows.
        outputs: names of the columns.
        least: value of the first colour.
        most: value of the last colour.
    """

    values: list[list[float | None]]
    texts: list[list[str]]
    inputs: list[str]
    outputs: list[str]
    least: float
    most: float


@dataclass
class Chart:
    """A chart, and its data in words and as a table.

    Args:
        title: above the chart.
        words: sentences on what it shows, for readers who do not see it.
        head: names of the columns of its table.
        rows: of its table.
        series: from the lowest to the highest layer.
        x: axis below.
        y: axis on the left.
        level: score of chance, if it is shown.
        band: largest difference that does not matter, if it is shown.
        centre: of the band: no difference.
        notes: x, y and a text, where there is nothing to draw.
        matrix: that is drawn instead of series.
        logarithmic: measures whose y axis is logarithmic.
        height: in pixels.
        meaning: a sentence on what is shown and what is normal.
    """

    title: str
    words: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    series: list[Series] = field(default_factory=list)
    x: Axis = Axis()
    y: Axis = Axis()
    level: float | None = None
    band: float | None = None
    centre: float = 0.0
    notes: list[tuple[float, float, str]] = field(default_factory=list)
    matrix: Matrix | None = None
    logarithmic: list[str] = field(default_factory=list)
    height: int = 320
    meaning: str = ""


def isolated(name: str) -> str:
    """A name between isolates, for use inside a text."""
    return f"\u2068{name}\u2069"


def label(place: PlaceSummary) -> str:
    """The name of a place inside its family."""
    return place.title.removeprefix(place.family).lstrip(", ") or place.title


def metric_of(places: Sequence[PlaceSummary]) -> str:
    """The name of the primary metric at places of a family, without the part that it is of."""
    metric = next((p.metric for p in places if p.metric), "test/score")
    return measure_label(metric).removeprefix("test ")


def score_of(places: Sequence[PlaceSummary]) -> str:
    """The primary metric in words, such as `test accuracy`; of a command as it is named there."""
    metric = next((p.metric for p in places if p.metric), "test/score")
    return measure_label(metric) if metric.startswith("test/") else metric


def better_direction(places: Sequence[PlaceSummary]) -> str:
    """`higher` or `lower`, whichever is better for the metric; empty where no run has ended."""
    known = [p.higher_is_better for p in places if p.higher_is_better is not None]
    return ("higher" if known[0] else "lower") if known else ""
