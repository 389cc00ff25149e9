"""The model of a chart, which `draw_plotly` draws in the page and `draw_matplotlib` for papers.

Texts are as users wrote them: what draws them makes them harmless. A name inside a text stands in
isolates, so that its direction of writing stays its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.record import Place


@dataclass(frozen=True)
class Axis:
    """An axis.

    Args:
        title: beside it.
        at: where its ticks are, if not anywhere.
        names: of its ticks.
        range: its first and last value, if these do not follow from the series.
        from_zero: whether it begins at zero.
    """

    title: str = ""
    at: Sequence[float] = ()
    names: Sequence[str] = ()
    range: tuple[float, float] | None = None
    from_zero: bool = False


@dataclass(frozen=True)
class Series:
    """Points that are drawn alike.

    Args:
        kind: `runs`, marks of runs; `mean`, a line of means; `curve`, lines of runs; `end`, where
            runs diverged; `spike`, `skip` and `rollback`, events; `pairs`, differences; `gap`,
            their mean with its interval; `published`, a line of a paper.
        x: of the points; None parts two lines.
        y: likewise.
        texts: of the points.
        arm: its number, which gives colour, marker and dash.
        name: of the arm or the paper.
        hollow: the points that diverged.
        low: end of the interval, if there is one; likewise `high`.
        thin: whether the interval is not to be trusted.
        measure: that is shown, where the reader may choose one.
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
    thin: bool = False
    measure: str = ""


@dataclass(frozen=True)
class Matrix:
    """Values in colours from the least to the most; what is above the diagonal is None."""

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
        title: above it.
        words: what it shows, for those who do not see it.
        head: of the table.
        rows: of the table.
        series: from the lowest to the highest layer.
        x: below.
        y: on the left.
        level: of chance.
        band: about zero of x, inside which a difference does not matter.
        notes: x, y and a text where there is nothing to draw.
        matrix: instead of series.
        logarithmic: measures whose y is logarithmic.
        height: in pixels.
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
    notes: list[tuple[float, float, str]] = field(default_factory=list)
    matrix: Matrix | None = None
    logarithmic: list[str] = field(default_factory=list)
    height: int = 320


def isolated(name: str) -> str:
    """A name inside a text."""
    return f"\u2068{name}\u2069"


def label(place: Place) -> str:
    """A place inside its family."""
    return place.title.removeprefix(place.family).lstrip(", ") or place.title


def metric_of(places: Sequence[Place]) -> str:
    """The name of the primary metric of a family."""
    return next((p.metric for p in places if p.metric), "test/score").removeprefix("test/")


def better(places: Sequence[Place]) -> str:
    """Whether a `higher` or a `lower` metric is better, or nothing where no run has ended."""
    known = [p.higher_is_better for p in places if p.higher_is_better is not None]
    return ("higher" if known[0] else "lower") if known else ""
