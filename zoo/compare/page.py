"""The report as one page that needs nothing else: no network, no other file.

Charts are JSON that the page's own script hands to Plotly. A policy in the page forbids every
request, and every script but the two that are in it.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from string import Template

from zoo.compare import sections
from zoo.compare.across import Row, grouped
from zoo.compare.charts import Chart, Measure, against_depth, forest
from zoo.compare.charts_runs import learning, matrix
from zoo.compare.curves import Curves, measures
from zoo.compare.html import Html, data, details, esc, join, name, table, tag
from zoo.compare.looks import DARK, LIGHT, look
from zoo.compare.mechanism import LENGTH

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


class Charts:
    """Collects charts and gives each its place in the page."""

    def __init__(self) -> None:
        self.found: dict[str, Row] = {}

    def figure(self, chart: Chart, group: str = "") -> Html:
        """A figure: its title, the place where it is drawn and its numbers as a table."""
        key = f"chart{len(self.found)}"
        self.found[key] = {
            "traces": chart.traces,
            "layout": {**chart.layout, "height": chart.height},
            "logarithmic": chart.logarithmic,
            "group": group,
        }
        label = {"role": "img", "aria_label": chart.words}
        place = tag("div", "", id=key, class_="plot", style=f"height:{chart.height}px", **label)
        numbers = details("Numbers", table(chart.title, chart.head, chart.rows))
        return tag("figure", join([tag("figcaption", name(chart.title)), place, numbers]))

    def grid(self, charts: Iterable[Chart], kind: str = "", group: str = "") -> Html:
        """Figures side by side where there is room."""
        content = join(self.figure(chart, group) for chart in charts)
        return tag("div", content, class_=f"charts {kind}".strip())


def page(record: Row, curves: Curves) -> str:
    """The report.

    Args:
        record: of the comparison.
        curves: of its runs, by their address.
    """
    import plotly.offline

    arms = list(record["declared"]["arms"])
    charts = Charts()
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
        "scores": join([*scores(record, arms, charts), sections.arms(record)]),
        "forests": forests(record, arms, charts),
        "growth": sections.growth(record),
        "gaps": join([sections.gaps(record), sections.tests(record)]),
        "curves": join(learnings(record, arms, curves, charts)),
        "costs": join([*costs(record, arms, charts), sections.costs(record)]),
        "length": LENGTH,
        "mixing": matrices(record, charts),
        "failures": sections.failures(record),
        "provenance": sections.provenance(record),
        "figures": data({"charts": charts.found, "arms": len(arms)}),
        "record": data(record),
        "plotly": plotly_js,
        "script": script,
    }
    return Template(part("page.html")).substitute(values)


def part(file: str) -> str:
    """A file that comes with this module."""
    return files("zoo.compare").joinpath(file).read_text(encoding="utf-8")


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


def families(record: Row) -> list[tuple[str, Sequence[Row]]]:
    return [(family, places) for family, places in grouped(record["places"], "family")]


def scores(record: Row, arms: Sequence[str], charts: Charts) -> Iterator[Html]:
    """Test and training score of every family against depth."""
    for family, places in families(record):
        metric = next((p["metric"] for p in places if p.get("metric")), "test/score")
        best = next((p["higher_is_better"] for p in places if "higher_is_better" in p), True)
        title = metric.removeprefix("test/")
        better = f" ({'higher' if best else 'lower'} is better)"
        both = Measure("value", f"test {title}"), Measure("train", f"training {title}")
        found = [against_depth(places, record["cells"], arms, measure) for measure in both]
        yield join([tag("h3", join([name(family), better])), charts.grid(found, "wide")])


def forests(record: Row, arms: Sequence[str], charts: Charts) -> Html:
    """The gaps of every family."""
    return charts.grid((forest(places, arms) for _, places in families(record)), "wide")


def learnings(record: Row, arms: Sequence[str], curves: Curves, charts: Charts) -> Iterator[Html]:
    """The learning curves of every family, one measure at a time."""
    for number, (family, places) in enumerate(families(record)):
        titles = [place["title"] for place in places]
        own = [curves[c["id"]] for c in record["cells"] if c["place"] in titles and c["id"] in curves]
        metric = next((p["metric"] for p in places if p.get("metric")), None)
        known = measures(metric, own)
        yield tag("h3", name(family))
        if not known:
            yield tag("p", "No run has curves in this folder.")
            continue
        group = f"curves{number}"
        options = join(tag("option", key, value=key) for key in known)
        select = tag("select", options, id=group, data_group=group)
        yield tag("p", join([tag("label", "Measure: ", for_=group), select]))
        found = [learning(place, record["cells"], arms, curves) for place in places]
        yield charts.grid(found, "", group)


def costs(record: Row, arms: Sequence[str], charts: Charts) -> Iterator[Html]:
    """Time and memory of every family against depth."""
    time = Measure("seconds_per_step", "ms a step", 1e3, True)
    memory = Measure("peak_memory_bytes", "peak memory, MiB", 2**-20, True)
    for family, places in families(record):
        found = [against_depth(places, record["cells"], arms, m) for m in (time, memory)]
        yield join([tag("h3", name(family)), charts.grid(found, "wide")])


def matrices(record: Row, charts: Charts) -> Html:
    """The mixing matrix of every arm that has one, and why the others have none."""
    known = record.get("mixing", {})
    entries = [v for f in known.values() for row in f["matrix"] or () for v in row]
    limit = max([1.0, *map(abs, entries)])
    have = [matrix(arm, found, limit) for arm, found in known.items() if found["matrix"]]
    lack = [
        tag("p", join([name(arm), f" (rule {found['rule']}) has none: {found['note']}."]))
        for arm, found in known.items()
        if not found["matrix"]
    ]
    missing = [] if known else [tag("p", "Not recorded.")]
    return join(itertools.chain([charts.grid(have, "narrow")], lack, missing))
