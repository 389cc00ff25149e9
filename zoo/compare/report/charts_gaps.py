"""Forest plots of the gaps of pairs, for Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.compare.analysis.record import Place
from zoo.compare.report.charts import Chart, label, named, safe
from zoo.compare.report.style import look
from zoo.compare.report.words import interval, number


def forest(places: Sequence[Place], arms: Sequence[str]) -> Chart:
    """Every difference of a pair as a dot, their mean with its interval, and what matters."""
    entries = [(place, c) for place in places for c in place.contrasts]
    traces: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    names = [safe(text) for text in named(entries)]
    rows, words = [], []
    for y, (place, c) in enumerate(entries):
        where = label(place)
        gap = c.gap
        told = interval(gap) or "unknown"
        every = ", ".join(number(d) for d in c.differences)
        rows.append([where, c.arm, c.baseline, told, every, c.verdict])
        words.append(f"{where}, {c.arm} against {c.baseline}: {told}")
        if gap is None:
            notes.append(
                {
                    "text": "no pair has ended",
                    "x": 0,
                    "y": y,
                    "xanchor": "left",
                    "xshift": 6,
                    "showarrow": False,
                }
            )
            continue
        style = look(arms.index(c.arm))
        shared: dict[str, Any] = {"type": "scatter", "mode": "markers", "hoverinfo": "text",
                       "meta": {"arm": arms.index(c.arm)}}  # fmt: skip
        dots = c.differences
        texts = [f"pair {s}: {number(d)}" for s, d in zip(c.seeds, dots, strict=True)]
        small = {"color": style.color, "symbol": style.symbol, "size": 6, "opacity": 0.55}
        big = {"color": style.color, "symbol": style.symbol, "size": 11,
               "line": {"color": "@paper", "width": 1}}  # fmt: skip
        bar: dict[str, Any] = {}
        if gap.low is not None and gap.high is not None:
            bar["error_x"] = {
                "type": "data", "symmetric": False, "array": [gap.high - gap.value],
                "arrayminus": [gap.value - gap.low], "color": style.color, "width": 5,
                "thickness": 1 if c.exact_only else 2,
            }  # fmt: skip
        mean = f"{safe(c.arm)} against {safe(c.baseline)}: {told}"
        traces += [
            {**shared, "x": dots, "y": [y + 0.27] * len(dots), "hovertext": texts, "marker": small},
            {**shared, "x": [gap.value], "y": [y], "hovertext": [mean], "marker": big, **bar},
        ]
    delta = max([c.delta for _, c in entries], default=0.0)
    band = {"x0": -delta, "x1": delta, "y0": 0, "y1": 1, "yref": "paper", "layer": "below"}
    zero = {"x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper"}
    layout = {
        "shapes": [
            {"type": "rect", **band, "fillcolor": "@band", "line": {"width": 0}},
            {"type": "line", **zero, "line": {"color": "@ink", "width": 1}},
        ],
        "annotations": notes,
        "xaxis": {"title": {"text": "← worse than baseline | better →"}, "zeroline": False,
                  **({} if traces else {"range": [-1, 1]})},
        "yaxis": {"tickvals": list(range(len(names))), "ticktext": names, "automargin": True,
                  "range": [len(names) - 0.4, -0.6], "showgrid": False, "zeroline": False},
    }  # fmt: skip
    metric = (places[0].metric or "score").removeprefix("test/")
    head = ("place", "arm", "baseline", "mean (95 % interval)", "every pair", "verdict")
    title = f"{places[0].family}: gap in {metric}" + (f"; band: ±{delta:g}" if delta else "")
    told = f"Gaps of pairs in {metric}. {'; '.join(words)}."
    return Chart(title, told, traces, layout, head, rows, 110 + 34 * len(names))
