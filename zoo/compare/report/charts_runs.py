"""Charts of runs and rules: learning curves and mixing matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zoo.compare.analysis.curves import Curve, Curves, measures
from zoo.compare.analysis.record import Mechanism, Place, Run
from zoo.compare.report.charts import Chart, safe
from zoo.compare.report.style import look
from zoo.compare.report.words import event_words, number

MARKS = {"spike": "triangle-up-open", "skip": "square-open", "rollback": "triangle-left-open"}
DECADES = 100  # between the smallest and the largest value, from which an axis is logarithmic
FEW = 4  # points of a curve, up to which they are marked


def learning(place: Place, cells: Sequence[Run], arms: Sequence[str], curves: Curves) -> Chart:
    """Every run as a thin line; a cross ends a run that diverged, other marks are events."""
    own = [c for c in cells if c.place == place.title and c.id in curves]
    traces: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    shown = measures(place.metric, (curves[c.id] for c in own))
    falls = []
    for measure in shown:
        values = [v for c in own for _, v in curves[c.id].get(measure, ())]
        if min(values) > 0 and max(values) > DECADES * min(values):
            falls.append(measure)
        for i, arm in enumerate(arms):
            style = look(i)
            ends: list[tuple[float, float]] = []
            first, last = [], []
            x: list[float | None] = []
            longest = 0
            y: list[float | None] = []
            runs = [c for c in own if c.arm == arm]
            for cell in runs:
                points = curves[cell.id].get(measure, [])
                longest = max(longest, len(points))
                if points:
                    x += [step for step, _ in points] + [None]
                    y += [float(f"{value:.4g}") for _, value in points] + [None]
                    first.append(points[0][1])
                    last.append(points[-1][1])
                    ends += points[-1:] if cell.status == "diverged" else []
            if not x:
                continue
            mode = "lines+markers" if longest <= FEW else "lines"
            meta = {"arm": i, "measure": measure}
            line = {"color": style.color, "dash": style.dash, "width": 1.2}
            shared: dict[str, Any] = {"type": "scatter", "name": safe(arm), "meta": meta}
            traces.append(
                {**shared, "mode": mode, "x": x, "y": y, "line": line, "opacity": 0.8,
                 "marker": {"color": style.color, "symbol": style.symbol, "size": 6},
                 "hoverinfo": "x+y+name"}
            )  # fmt: skip
            if ends:
                at, height = zip(*ends, strict=True)
                cross = {"color": style.color, "symbol": "x-thin-open", "size": 10}
                traces.append({**shared, "mode": "markers", "x": at, "y": height, "marker": cross,
                               "hoverinfo": "text", "hovertext": "diverged"})  # fmt: skip
            if measure == "train/loss":
                traces += [{**shared, **e} for e in events(runs, curves, style.color)]
            rows.append([measure, arm, spread(first), spread(last)])
    layout = {"xaxis": {"title": {"text": "step"}}, "yaxis": {}}
    head = ("measure", "arm", "first", "last")
    words = "; ".join(f"{m}, {a}: from {f} to {t}" for m, a, f, t in rows)
    told = f"Learning curves at {place.title}. {words or 'No run has curves'}."
    return Chart(place.title, told, traces, layout, head, rows, 280, falls)


def events(cells: Sequence[Run], curves: Curves, color: str) -> Iterator[dict[str, Any]]:
    """Marks on the training loss of runs for their spikes and their lost steps."""
    for kind, symbol in MARKS.items():
        marks = [
            (
                event["step"],
                height(curves[cell.id]["train/loss"], event["step"]),
                event_words(event),
            )
            for cell in cells
            for event in cell.events
            if event["kind"] == kind and "train/loss" in curves[cell.id]
        ]
        if marks:
            x, y, words = zip(*marks, strict=True)
            marker = {"color": color, "symbol": symbol, "size": 9}
            yield {"mode": "markers", "x": x, "y": y, "marker": marker, "hoverinfo": "text",
                   "hovertext": words}  # fmt: skip


def height(curve: Curve, step: int) -> float:
    """The value of a curve at a step, or at its last point before."""
    return next((value for at, value in reversed(curve) if at <= step), curve[0][1])


def spread(values: Sequence[float]) -> str:
    """The mean of some values and, where there are several, the smallest and the largest."""
    mean = number(sum(values) / len(values))
    if len(values) < 2:
        return mean
    return f"{mean} ({number(min(values))} to {number(max(values))})"


def matrix(arm: str, found: Mechanism, least: float, most: float) -> Chart:
    """A mixing matrix: what each branch reads, in colours from the least to the most."""
    values = found.matrix or []
    size = len(values)
    inputs = [*(f"x{i}" for i in range(size - 1)), "out"]
    outputs = [f"y{j}" for j in range(size)]
    lower = [[v if j <= i else None for j, v in enumerate(row)] for i, row in enumerate(values)]
    texts = [
        [
            f"{number(v)} of {outputs[j]} in {inputs[i]}" if v is not None else ""
            for j, v in enumerate(row)
        ]
        for i, row in enumerate(lower)
    ]
    trace = {
        "type": "heatmap", "z": lower, "x": outputs, "y": inputs, "zmin": least, "zmax": most,
        "colorscale": "@diverging" if least < 0 else "@rising", "xgap": 1, "ygap": 1,
        "hoverinfo": "text", "text": texts,
        "colorbar": {"thickness": 10, "len": 0.9, "outlinewidth": 0},
    }  # fmt: skip
    layout = {
        "yaxis": {"autorange": "reversed", "showgrid": False, "scaleanchor": "x",
                  "constrain": "domain", "zeroline": False},
        "xaxis": {"showgrid": False, "constrain": "domain", "zeroline": False},
    }  # fmt: skip
    rows = [
        [inputs[i], *(number(v) if v is not None else "" for v in row)]
        for i, row in enumerate(lower)
    ]
    note = f", {found.note}" if found.note else ""
    last = ", ".join(number(v) for v in values[-1])
    words = f"Mixing matrix of {arm} (rule {found.rule}{note}). Its output is made of {last}."
    return Chart(arm, words, [trace], layout, ("", *outputs), rows, 270)
