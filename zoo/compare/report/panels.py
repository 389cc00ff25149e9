"""The charts of the page, part by part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.aggregate import families
from zoo.compare.analysis.curves import Curves, measures
from zoo.compare.analysis.record import Record
from zoo.compare.report.chart import Chart, better
from zoo.compare.report.chart_curves import learning
from zoo.compare.report.chart_gaps import entries_of, forest
from zoo.compare.report.chart_mixing import matrices
from zoo.compare.report.chart_scores import costs_of, scores_of
from zoo.compare.report.draw_plotly import plotted

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
        own = families(record.places)
        self.gaps = self.placed(forest(name, entries_of(p), self.arms) for name, p in own)
        self.curves = list(self.of_curves(record, curves))
        self.costs = list(self.of_costs(record))
        self.mixing = self.placed(matrices(record.mixing))

    def placed(self, charts: Iterable[Chart], group: str = "") -> list[Figure]:
        """Charts with their places."""
        found = []
        for chart in charts:
            found.append(Figure(f"chart{len(self.plain)}", chart))
            own = {"logarithmic": chart.logarithmic, "group": group}
            self.plain[found[-1].id] = {**plotted(chart), **own}
        return found

    def of_scores(self, record: Record) -> Iterable[Panel]:
        """Test and training score of every family against depth."""
        for family, places in families(record.places):
            note = f" ({which} is better)" if (which := better(places)) else ""
            yield Panel(family, self.placed(scores_of(record, places)), note)

    def of_curves(self, record: Record, curves: Curves) -> Iterable[Panel]:
        """The learning curves of every family, one measure at a time."""
        for number, (family, places) in enumerate(families(record.places)):
            titles = [place.title for place in places]
            runs = [run for run in record.cells if run.place in titles and run.id in curves]
            metric = next((p.metric for p in places if p.metric), None)
            known = measures(metric, [curves[run.id] for run in runs])
            own = [learning(p, record.cells, self.arms, curves) for p in places if known]
            group = f"curves{number}"
            yield Panel(family, self.placed(own, group), group=group, measures=known)

    def of_costs(self, record: Record) -> Iterable[Panel]:
        """Time and memory of every family against depth."""
        for family, places in families(record.places):
            yield Panel(family, self.placed(costs_of(record, places)))
