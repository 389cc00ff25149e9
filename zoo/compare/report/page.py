"""The report as one page that needs nothing else: no network, no other file.

Charts are JSON that the page's own script hands to Plotly. A policy in the page forbids every
request, and every script but the two that are in it.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from string import Template

from zoo.compare.analysis.aggregate import Row
from zoo.compare.analysis.curves import Curves
from zoo.compare.analysis.mixing import LENGTH
from zoo.compare.report import html_charts as panels
from zoo.compare.report import html_tables as numbers
from zoo.compare.report import html_text as sections
from zoo.compare.report.html import Html, data, esc, join, name, tag
from zoo.compare.report.style import DARK, LIGHT, look

PARTS = {
    "verdicts": "Verdicts", "scores": "Score against depth", "gaps": "Gaps", "curves": "Curves",
    "costs": "Time and memory", "mixing": "Mixing", "failures": "Failures",
    "provenance": "Where this comes from",
}  # fmt: skip
SHAPES = {
    "circle": "M1,7a6,6 0 1,0 12,0a6,6 0 1,0 -12,0z", "square": "M2,2h10v10h-10z",
    "diamond": "M7,0L14,7L7,14L0,7z", "triangle-up": "M7,1L14,13H0z",
    "triangle-down": "M7,13L14,1H0z", "star": "M7,0l2,5h5l-4,3l2,6l-5,-4l-5,4l2,-6l-4,-3h5z",
    "cross": "M5,0h4v5h5v4h-5v5h-4v-5h-5v-4h5z",
    "x": "M2,0l5,5l5,-5l2,2l-5,5l5,5l-2,2l-5,-5l-5,5l-2,-2l5,-5l-5,-5z",
}  # fmt: skip


def page(record: Row, curves: Curves) -> str:
    """The report.

    Args:
        record: of the comparison.
        curves: of its runs, by their address.
    """
    import plotly.offline

    arms = list(record["declared"]["arms"])
    charts = panels.Charts()
    plotly_js, script = plotly.offline.get_plotlyjs(), part("page.js")
    links = join(tag("a", title, href=f"#{key}") for key, title in PARTS.items())
    values = {
        "policy": policy(plotly_js, script),
        "title": esc(f"Comparison: {record['name']}"),
        "style": palette() + part("page.css"),
        "name": name(record["name"]),
        "subtitle": esc(subtitle(record)),
        "links": links,
        "arms": join(arm_box(i, arm) for i, arm in enumerate(arms)),
        "banner": sections.warned(record),
        "verdicts": sections.verdicts(record),
        "caveats": sections.caveats(record),
        "scores": join([*panels.scores(record, arms, charts), numbers.arms(record)]),
        "forests": panels.forests(record, arms, charts),
        "growth": numbers.growth(record),
        "gaps": join([numbers.gaps(record), numbers.secondary(record), numbers.tests(record)]),
        "curves": join(panels.learnings(record, arms, curves, charts)),
        "costs": join([*panels.costs(record, arms, charts), numbers.costs(record)]),
        "length": LENGTH,
        "mixing": panels.matrices(record, charts),
        "failures": numbers.failures(record),
        "provenance": sections.provenance(record),
        "figures": data({"charts": charts.found, "arms": len(arms)}),
        "record": data(record),
        "plotly": plotly_js,
        "script": script,
    }
    return Template(part("page.html")).substitute(values)


def part(file: str) -> str:
    """A file that comes with this module."""
    return files("zoo.compare.report").joinpath(file).read_text(encoding="utf-8")


def policy(*scripts: str) -> str:
    """Forbids every request and every script but these."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    own = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {own}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def palette() -> str:
    """The colours of arms in both schemes."""
    schemes = {":root": LIGHT, ':root[data-scheme="dark"]': DARK}
    return "".join(
        f"{selector}{{{''.join(f'--arm{i}:{c};' for i, c in enumerate(colors))}}}\n"
        for selector, colors in schemes.items()
    )


def subtitle(record: Row) -> str:
    """What was compared, in a line."""
    declared = record["declared"]
    pairs, runs = len(declared["pairs"]), len(record["cells"])
    counts = [(len(declared["arms"]), "arm"), (len(record["places"]), "place"), (pairs, "pair"),
              (runs, "run")]  # fmt: skip
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts)


def arm_box(index: int, arm: str) -> Html:
    """The legend's entry for an arm: a box that shows or hides it in every chart."""
    shape = Html(f'<path d="{SHAPES[look(index).symbol]}"/>')
    color = f"fill:var(--arm{look(index).index})"
    mark = tag("svg", shape, width=14, height=14, aria_hidden="true", style=color)
    box = Html(f'<input type="checkbox" checked value="{index}">')
    return tag("label", join([box, mark, name(arm)]), title=arm)
