"""The charts of the page, part by part."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from zoo.compare.analysis.aggregate import Row, families
from zoo.compare.analysis.curves import Curves, measures
from zoo.compare.report.charts import Chart, Measure, against_depth
from zoo.compare.report.charts_gaps import forest
from zoo.compare.report.charts_runs import learning, matrix
from zoo.compare.report.html import Html, details, join, name, table, tag
from zoo.compare.report.published import added, lines


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


def scores(record: Row, arms: Sequence[str], charts: Charts) -> Iterator[Html]:
    """Test and training score of every family against depth."""
    for family, places in families(record):
        metric = next((p["metric"] for p in places if p.get("metric")), "test/score")
        best = next((p["higher_is_better"] for p in places if "higher_is_better" in p), True)
        title = metric.removeprefix("test/")
        better = f" ({'higher' if best else 'lower'} is better)"
        both = Measure("value", f"test {title}"), Measure("train", f"training {title}")
        found = [against_depth(places, record["cells"], arms, measure) for measure in both]
        found[0] = added(found[0], list(lines(record, places)))
        yield join([tag("h3", join([name(family), better])), charts.grid(found, "wide")])


def forests(record: Row, arms: Sequence[str], charts: Charts) -> Html:
    """The gaps of every family."""
    return charts.grid((forest(places, arms) for _, places in families(record)), "wide")


def learnings(record: Row, arms: Sequence[str], curves: Curves, charts: Charts) -> Iterator[Html]:
    """The learning curves of every family, one measure at a time."""
    for number, (family, places) in enumerate(families(record)):
        titles = [place["title"] for place in places]
        own = [
            curves[c["id"]] for c in record["cells"] if c["place"] in titles and c["id"] in curves
        ]
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
        yield charts.grid(found, "four", group)


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
    most = max([1.0, *map(abs, entries)])
    ends = (-most if min(entries, default=0) < 0 else 0, most)
    have = [matrix(arm, found, *ends) for arm, found in known.items() if found["matrix"]]
    lack = [
        tag("p", join([name(arm), f" (rule {found['rule']}){said}: {found['note']}."]))
        for arm, found in known.items()
        if found["note"] and (said := " is shown" if found["matrix"] else " has no matrix")
    ]
    missing = [] if known else [tag("p", "Not recorded.")]
    return join(itertools.chain([charts.grid(have, "narrow")], lack, missing))
