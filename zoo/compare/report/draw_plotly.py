"""Charts as Plotly reads them: traces and a layout; the page adds what all charts share.

Colours are names such as `@arm0` that the page replaces. Plotly takes some HTML in texts, so every
text is escaped.
"""

from __future__ import annotations

import html
from typing import Any

from zoo.compare.report.chart import Axis, Chart, Matrix, Series, isolated
from zoo.compare.report.style import look
from zoo.html.document import visible

JSON = dict[str, Any]
EVENT_SYMBOLS = {"end": "x-thin-open", "spike": "triangle-up-open", "skip": "square-open",
          "rollback": "triangle-left-open", "chosen": "circle-open"}  # fmt: skip
STREAMS = {"before": "dot", "after": "solid"}
SIZES = {"end": 10, "chosen": 20}  # of marks that stand for no run, and that ring a mean
MARKED = 4  # points of a curve up to which they are marked


def to_plotly(chart: Chart) -> JSON:
    """A chart as JSON; `meta` of a trace tells its arm and its measure."""
    traces = [trace(s) for s in chart.series] if not chart.matrix else [heatmap(chart.matrix)]
    return {"traces": traces, "layout": {**layout(chart), "height": chart.height}}


def escaped(text: str) -> str:
    """A text that Plotly shows literally."""
    return html.escape(visible(text), quote=False)


def trace(s: Series) -> JSON:
    """A series as a trace."""
    meta = {"arm": s.arm, "measure": s.measure} if s.measure else {"arm": s.arm}
    shared: JSON = {"type": "scatter", "x": list(s.x), "y": list(s.y), "hoverinfo": "text"}
    shared["name"] = escaped(isolated(s.name))
    if s.texts:
        shared["hovertext"] = [escaped(text) for text in s.texts]
    if s.kind == "published":
        return shared | published_style(s)
    if s.kind == "effect":
        return shared | {"mode": "lines", "fill": "toself", "fillcolor": "@band",
                         "line": {"width": 0}, "hoverinfo": "skip"}  # fmt: skip
    return shared | {"meta": meta} | arm_style(s)


def arm_style(s: Series) -> JSON:
    """The marks and lines of a series of an arm."""
    style = look(s.arm)
    mark: JSON = {"color": style.color, "symbol": style.symbol}
    line: JSON = {"color": style.color, "dash": style.dash}
    if s.kind == "runs":
        symbols = [f"{style.symbol}-open" if hollow else style.symbol for hollow in s.hollow]
        return {"mode": "markers", "marker": mark | {"symbol": symbols, "size": 7, "opacity": 0.55}}
    if s.kind == "mean":
        return {"mode": "lines+markers", "line": line | {"width": 2}, "marker": mark | {"size": 10}}
    if s.kind == "pairs":
        return {"mode": "markers", "marker": mark | {"size": 6, "opacity": 0.55}}
    if s.kind == "gap":
        if any(s.hollow):
            hollow = mark | {"symbol": f"{style.symbol}-open", "size": 10, "line": {"width": 2}}
            return {"mode": "markers", "marker": hollow, **error_bar(s)}
        rim = {"color": "@paper", "width": 1}
        return {"mode": "markers", "marker": mark | {"size": 11, "line": rim}, **error_bar(s)}
    if s.kind in EVENT_SYMBOLS:
        symbol = {"symbol": EVENT_SYMBOLS[s.kind], "size": SIZES.get(s.kind, 9)}
        return {"mode": "markers", "marker": mark | symbol}
    if s.kind in STREAMS:
        return stream_style(s)
    lengths = "".join("." if x is not None else " " for x in s.x).split()
    few = max(map(len, lengths)) <= MARKED
    return {
        "mode": "lines+markers" if few else "lines",
        "y": [None if y is None else float(f"{y:.4g}") for y in s.y],
        "line": line | {"width": 1.2},
        "marker": mark | {"size": 6},
        "opacity": 0.8,
        "hoverinfo": "x+y+name",
    }


def stream_style(s: Series) -> JSON:
    """A line by depth: dotted as training begins, solid as it ends."""
    style = look(s.arm)
    start = s.kind == "before"
    return {
        "mode": "lines+markers",
        "y": [None if y is None else float(f"{y:.4g}") for y in s.y],
        "line": {"color": style.color, "dash": STREAMS[s.kind], "width": 1.5 if start else 2},
        "marker": {
            "color": style.color,
            "symbol": f"{style.symbol}{'-open' if start else ''}",
            "size": 5,
        },
    }


def error_bar(s: Series) -> JSON:
    """The interval of a mean as an error bar; empty without an interval."""
    if s.low is None or s.high is None:
        return {}
    (mean,) = (x for x in s.x if x is not None)
    ends = {"array": [s.high - mean], "arrayminus": [mean - s.low], "symmetric": False}
    color = look(s.arm).color
    return {"error_x": {"type": "data", **ends, "color": color, "width": 5, "thickness": 2}}


def published_style(s: Series) -> JSON:
    """A line of a paper, with its name at the end."""
    return {
        "mode": "lines+text",
        "text": [""] * (len(s.x) - 1) + [escaped(isolated(s.name))],
        "textposition": "middle right",
        "textfont": {"size": 10, "color": "@soft"},
        "line": {"color": "@soft", "width": 1, "dash": "dash"},
    }


def heatmap(m: Matrix) -> JSON:
    """A matrix as a trace."""
    return {
        "type": "heatmap", "z": m.values, "x": m.outputs, "y": m.inputs, "zmin": m.least,
        "zmax": m.most, "colorscale": "@diverging" if m.least < 0 else "@rising", "xgap": 1,
        "ygap": 1, "hoverinfo": "text", "text": m.texts,
        "colorbar": {"thickness": 10, "len": 0.9, "outlinewidth": 0},
    }  # fmt: skip


def layout(chart: Chart) -> JSON:
    """The axes of a chart, and the notes, lines and bands behind its points."""
    if chart.matrix:
        square = {"showgrid": False, "constrain": "domain", "zeroline": False}
        return {"xaxis": square, "yaxis": {**square, "autorange": "reversed", "scaleanchor": "x"}}
    result: JSON = {"xaxis": axis(chart.x), "yaxis": axis(chart.y)}
    result |= {"shapes": [], "annotations": []}
    for x, y, text in chart.notes:
        at = {"x": x, "y": y, "xanchor": "left", "xshift": 6, "showarrow": False}
        result["annotations"].append({"text": escaped(text), **at})
    if chart.level is not None:
        ends = {"x0": 0, "x1": 1, "xref": "paper", "y0": chart.level, "y1": chart.level}
        line = {"color": "@soft", "width": 1, "dash": "dot"}
        result["shapes"].append({"type": "line", **ends, "line": line})
        at = {"x": 1, "xref": "paper", "xanchor": "left", "y": chart.level, "yanchor": "middle"}
        name = {"text": "chance", "showarrow": False, "font": {"size": 11}}
        result["annotations"].append({**at, **name})
        result["margin"] = {"l": 56, "r": 50, "t": 10, "b": 48}
    if chart.band is not None:
        whole = {"y0": 0, "y1": 1, "yref": "paper"}
        ends = {"x0": chart.centre - chart.band, "x1": chart.centre + chart.band}
        band = {**ends, **whole, "layer": "below"}
        zero = {
            "x0": chart.centre,
            "x1": chart.centre,
            **whole,
            "line": {"color": "@ink", "width": 1},
        }
        result["shapes"] += [
            {"type": "rect", **band, "fillcolor": "@band", "line": {"width": 0}},
            {"type": "line", **zero},
        ]
        result["xaxis"] |= {"zeroline": False, "nticks": 5, "tickangle": 0}
        result["yaxis"] |= {"showgrid": False, "zeroline": False}
    if not chart.series and not chart.y.at:
        result["yaxis"] |= {"visible": False, "fixedrange": True}
    return result


def axis(chart_axis: Axis) -> JSON:
    """An axis; Plotly derives from the points what is left out."""
    result: JSON = {}
    if chart_axis.title:
        result["title"] = {"text": escaped(chart_axis.title)}
    if chart_axis.at:
        names = [escaped(isolated(name)) for name in chart_axis.names]
        result |= {"tickvals": list(chart_axis.at), "ticktext": names}
    if chart_axis.range:
        result["range"] = list(chart_axis.range)
    if chart_axis.from_zero:
        result["rangemode"] = "tozero"
    if chart_axis.logarithmic:
        result |= {"type": "log", "exponentformat": "power"}
    return result
