"""Charts of a record for Plotly: scores and costs against depth.

Colours are names such as `@arm0` that the page replaces. Plotly reads some HTML in texts, so every
text is escaped, and names stand in isolates so that their direction of writing stays their own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.record import Contrast, Place, Run
from zoo.compare.report.style import look, visible
from zoo.compare.report.words import number
from zoo.errors import cut

TICKS = 15  # that have room


@dataclass
class Chart:
    """A chart, and its data in words and as a table.

    Args:
        title: above it.
        words: what it shows, for those who do not see it.
        traces: of Plotly; `meta` has the arm and the measure.
        layout: of Plotly, without what all charts share.
        head: of the table.
        rows: of the table.
        height: in pixels.
        logarithmic: measures whose axis is logarithmic.
    """

    title: str
    words: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any]
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    height: int = 320
    logarithmic: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Measure:
    """What a cell has: a key of its row, how it is called and in which unit it is shown."""

    key: str
    title: str
    factor: float = 1.0
    from_zero: bool = False


def safe(text: object) -> str:
    """Text that Plotly shows as it is."""
    return f"\u2068{html.escape(visible(text), quote=False)}\u2069"


def label(place: Place) -> str:
    """A place inside its family."""
    rest = str(place.title).removeprefix(str(place.family)).lstrip(", ")
    return rest or str(place.title)


def named(entries: Sequence[tuple[Place, Contrast]]) -> list[str]:
    """What tells contrasts of one family apart: place, arm or both."""
    places = len({place.title for place, _ in entries}) > 1
    arms = len({c.arm for _, c in entries}) > 1
    texts = []
    for place, c in entries:
        parts = [cut(label(place), 20)] if places or not arms else []
        texts.append(": ".join([*parts, cut(c.arm, 20)] if arms else parts))
    return texts


def positions(places: Sequence[Place]) -> list[float]:
    """Where places stand: at log2 of their depth, or one after the other where that is none."""
    depths = [place.depth for place in places]
    numeric = all(isinstance(d, (int, float)) and d > 0 for d in depths)
    return [math.log2(d) for d in depths] if numeric else [float(i) for i in range(len(places))]


def ticks(places: Sequence[Place]) -> list[str]:
    """The names of the positions; of those too near to each other the deeper one has a name."""
    x = positions(places)
    room, last = (max(x) - min(x) + 0.8) / TICKS, math.inf
    texts = []
    for place, at in reversed(list(zip(places, x, strict=True))):
        text = place.depth if isinstance(place.depth, (int, float)) else label(place)
        near = last - at < room
        texts.append("" if near else cut(text, 16))
        last = last if near else at
    return texts[::-1]


def dodge(arm: int, arms: int, x: Sequence[float]) -> float:
    """A small shift that keeps arms at one place apart."""
    steps = [b - a for a, b in zip(sorted(x), sorted(x)[1:], strict=False)]
    shown = max(x) - min(x) + 0.8  # of the axis
    room = min([*steps, 1.0])
    return (arm - (arms - 1) / 2) * min(0.12 * room, 0.6 * room / arms, 0.035 * shown)


def points(row: Run, measure: Measure) -> float | None:
    """What a cell has of a measure."""
    value = getattr(row, measure.key)
    return None if value is None else value * measure.factor


def against_depth(
    places: Sequence[Place], cells: Sequence[Run], arms: Sequence[str], measure: Measure
) -> Chart:
    """Every run as a dot and the mean of every arm as a line, against depth."""
    x = positions(places)
    traces: list[dict[str, Any]] = []
    rows: list[list[Any]] = []
    words = []
    for i, arm in enumerate(arms):
        means: list[float | None] = []
        dots: list[tuple[float, float, str, bool]] = []
        for place, at in zip(places, x, strict=True):
            own = [c for c in cells if c.place == place.title and c.arm == arm]
            values = [v for c in own if (v := points(c, measure)) is not None]
            means.append(sum(values) / len(values) if values else None)
            for cell in own:
                if (value := points(cell, measure)) is not None:
                    bad = cell.status == "diverged"
                    why = ", diverged" + (": counts as chance" if measure.key == "value" else "")
                    text = f"{safe(arm)}, pair {cell.pair}: {number(value)}{why if bad else ''}"
                    dots.append((at + dodge(i, len(arms), x), value, text, bad))
            rows.append(
                [label(place), arm, number(means[-1]), ", ".join(number(v) for v in values)]
            )
        if not dots:
            continue
        traces += scatter(i, arm, [at + dodge(i, len(arms), x) for at in x], means, dots)
        told = [f"{number(m)} at {label(p)}" for p, m in zip(places, means, strict=True)]
        words.append(f"{arm}: {', '.join(told)}")
    chance = places[0].chance if measure.key == "value" else None
    axis = {"rangemode": "tozero"} if measure.from_zero else {}
    known = all(isinstance(place.depth, (int, float)) for place in places)
    layout: dict[str, Any] = {
        "xaxis": {
            "tickvals": x,
            "ticktext": [safe(text) for text in ticks(places)],
            "title": {"text": "depth (logarithmic)" if known and len(x) > 1 else ""},
            "range": [min(x) - 0.4, max(x) + 0.4],
        },
        "yaxis": {"title": {"text": safe(measure.title)}, **axis},
    }
    if chance is not None:
        layout["shapes"] = [level(chance)]
        layout["margin"] = {"l": 56, "r": 50, "t": 10, "b": 48}
        layout["annotations"] = [
            {
                "text": "chance", "x": 1, "xref": "paper", "xanchor": "left", "y": chance,
                "yanchor": "middle", "showarrow": False, "font": {"size": 11},
            }
        ]  # fmt: skip
    means_told = f"Mean {measure.title}. {'; '.join(words) or 'no run has a value'}."
    if not traces:
        none = {"text": "no run has a value", "x": x[0], "y": 0, "showarrow": False}
        layout |= {"annotations": [none], "yaxis": {"visible": False, "fixedrange": True}}
    head = ("place", "arm", "mean", "every run")
    height = 320 if traces else 120
    return Chart(measure.title, means_told, traces, layout, head, rows, height)


def scatter(
    arm: int, name: str, x: list[float], means: list[float | None], dots: list[Any]
) -> list[dict[str, Any]]:
    """The runs of an arm as dots, hollow where they diverged, and their mean as a line."""
    style = look(arm)
    at, values, texts, bad = zip(*dots, strict=True)
    symbols = [f"{style.symbol}-open" if b else style.symbol for b in bad]
    shared: dict[str, Any] = {
        "type": "scatter",
        "name": safe(name),
        "meta": {"arm": arm},
        "hoverinfo": "text",
    }
    mark = {"color": style.color, "symbol": symbols, "size": 7, "opacity": 0.55}
    line = {"color": style.color, "dash": style.dash, "width": 2}
    told = [f"{safe(name)}, mean: {number(mean)}" for mean in means]
    big = {"color": style.color, "symbol": style.symbol, "size": 10}
    return [
        {**shared, "mode": "markers", "x": at, "y": values, "hovertext": texts, "marker": mark},
        {**shared, "mode": "lines+markers", "x": x, "y": means, "hovertext": told, "line": line,
         "marker": big},
    ]  # fmt: skip


def level(value: float) -> dict[str, Any]:
    """A dotted line at one value of y."""
    ends = {"x0": 0, "x1": 1, "xref": "paper", "y0": value, "y1": value}
    return {"type": "line", **ends, "line": {"color": "@soft", "width": 1, "dash": "dot"}}
