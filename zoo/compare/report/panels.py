"""The charts of the page, part by part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.aggregate import families
from zoo.compare.analysis.curves import Curves, measures
from zoo.compare.analysis.record import Mechanism, Record
from zoo.compare.report.charts import Chart, Measure, against_depth
from zoo.compare.report.charts_gaps import forest
from zoo.compare.report.charts_runs import learning, matrix
from zoo.compare.report.published import added, lines

Plotted = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """A chart and the id of the place where the page draws it."""

    id: str
    chart: Chart


@dataclass(frozen=True)
class Panel:
    """The figures of a family.

    Args:
        family: its name.
        figures: side by side.
        note: beside its name.
        group: key of the measure that its figures show, if there is a choice.
        measures: to choose from.
    """

    family: str
    figures: list[Figure]
    note: str = ""
    group: str = ""
    measures: list[str] = field(default_factory=list)


class Panels:
    """All charts of a record; `plain` has them as the page's script reads them.

    Args:
        record: of the comparison.
        curves: of its runs, by their address.
    """

    def __init__(self, record: Record, curves: Curves):
        self.plain: dict[str, Plotted] = {}
        self.arms = list(record.declared.arms)
        self.scores = list(self.of_scores(record))
        own = (forest(places, self.arms) for _, places in families(record.places))
        self.gaps = self.placed(own)
        self.curves = list(self.of_curves(record, curves))
        self.costs = list(self.of_costs(record))
        self.mixing = self.of_mixing(record.mixing)

    def placed(self, charts: Iterable[Chart], group: str = "") -> list[Figure]:
        """Charts with their places."""
        found = []
        for chart in charts:
            found.append(Figure(f"chart{len(self.plain)}", chart))
            self.plain[found[-1].id] = {
                "traces": chart.traces,
                "layout": {**chart.layout, "height": chart.height},
                "logarithmic": chart.logarithmic,
                "group": group,
            }
        return found

    def of_scores(self, record: Record) -> Iterable[Panel]:
        """Test and training score of every family against depth."""
        for family, places in families(record.places):
            metric = next((p.metric for p in places if p.metric), "test/score")
            title = metric.removeprefix("test/")
            note = f" ({'higher' if places[0].higher_is_better else 'lower'} is better)"
            both = Measure("value", f"test {title}"), Measure("train", f"training {title}")
            found = [against_depth(places, record.cells, self.arms, m) for m in both]
            found[0] = added(found[0], list(lines(record, places)))
            yield Panel(family, self.placed(found), note)

    def of_curves(self, record: Record, curves: Curves) -> Iterable[Panel]:
        """The learning curves of every family, one measure at a time."""
        for number, (family, places) in enumerate(families(record.places)):
            titles = [place.title for place in places]
            cells = [c for c in record.cells if c.place in titles and c.id in curves]
            metric = next((p.metric for p in places if p.metric), None)
            known = measures(metric, [curves[c.id] for c in cells])
            own = [learning(p, record.cells, self.arms, curves) for p in places if known]
            group = f"curves{number}"
            yield Panel(family, self.placed(own, group), group=group, measures=known)

    def of_costs(self, record: Record) -> Iterable[Panel]:
        """Time and memory of every family against depth."""
        time = Measure("seconds_per_step", "ms a step", 1e3, True)
        memory = Measure("peak_memory_bytes", "peak memory, MiB", 2**-20, True)
        for family, places in families(record.places):
            own = (against_depth(places, record.cells, self.arms, m) for m in (time, memory))
            yield Panel(family, self.placed(own))

    def of_mixing(self, known: dict[str, Mechanism]) -> list[Figure]:
        """The mixing matrix of every arm that has one."""
        entries = [v for f in known.values() for row in f.matrix or () for v in row]
        most = max([1.0, *map(abs, entries)])
        ends = (-most if min(entries, default=0) < 0 else 0, most)
        return self.placed(matrix(arm, f, *ends) for arm, f in known.items() if f.matrix)
