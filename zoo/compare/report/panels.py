"""The charts of the page, by its sections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.aggregate import contrasts_of, families
from zoo.compare.analysis.curves import Curves, measures
from zoo.compare.analysis.record import Record
from zoo.compare.report.chart import Chart, better_direction
from zoo.compare.report.chart_curves import learning_curves
from zoo.compare.report.chart_gaps import forest
from zoo.compare.report.chart_mixing import mixing_charts
from zoo.compare.report.chart_scores import costs_of, scores_of
from zoo.compare.report.chart_tasks import task_charts
from zoo.compare.report.chart_tuning import sensitivity_charts
from zoo.compare.report.chart_verdicts import verdict_chart
from zoo.compare.report.chart_why import why_charts
from zoo.compare.report.draw_plotly import to_plotly
from zoo.compare.report.formats import measure_label


@dataclass(frozen=True)
class PageFigure:
    """A chart and the id of the element in which the page draws it."""

    id: str
    chart: Chart


@dataclass(frozen=True)
class Panel:
    """The figures of one family in a section.

    Args:
        family: title of the family.
        figures: side by side.
        note: beside the title.
        group: id of the menu from which the reader chooses a measure, if there is one.
        measures: in that menu.
    """

    family: str
    figures: list[PageFigure]
    note: str = ""
    group: str = ""
    measures: list[str] = field(default_factory=list)


class Panels:
    """All charts of a record.

    `plain` holds them by their ids, as the script of the page reads them.

    Args:
        record: of the comparison.
        curves: of its runs, by their addresses.
    """

    def __init__(self, record: Record, curves: Curves):
        self.plain: dict[str, dict[str, Any]] = {}
        self.arms = list(record.declared.arms)
        self.scores = list(self.of_scores(record))
        self.gaps = self.add(
            forest(family, contrasts_of(places), self.arms)
            for family, places in families(record.places)
        )
        self.curves = list(self.of_curves(record, curves))
        self.costs = list(self.of_costs(record))
        self.mixing = self.add(mixing_charts(record.mixing))
        self.tuning = self.add(sensitivity_charts(record))
        (self.verdicts,) = self.add([verdict_chart(record)])
        self.tasks = self.add(task_charts(record))
        probed = dict.fromkeys(stream.place for stream in record.streams)
        self.why = {place: self.add(why_charts(record, place)) for place in probed}

    def add(self, charts: Iterable[Chart], group: str = "") -> list[PageFigure]:
        """Adds charts to `plain` and returns them with their ids."""
        figures = []
        for chart in charts:
            id = f"chart{len(self.plain)}"
            scale = {"logarithmic": chart.logarithmic, "group": group}
            self.plain[id] = {**to_plotly(chart), **scale}
            figures.append(PageFigure(id, chart))
        return figures

    def of_scores(self, record: Record) -> Iterable[Panel]:
        """The panels of test and training score against depth."""
        for family, places in families(record.places):
            note = f" ({which} is better)" if (which := better_direction(places)) else ""
            yield Panel(family, self.add(scores_of(record, places)), note)

    def of_curves(self, record: Record, curves: Curves) -> Iterable[Panel]:
        """The panels of learning curves, which show one measure at a time."""
        for number, (family, places) in enumerate(families(record.places)):
            titles = [place.title for place in places]
            runs = [run for run in record.cells if run.place in titles and run.id in curves]
            metric = next((p.metric for p in places if p.metric), None)
            known = measures(metric, [curves[run.id] for run in runs])
            charts = [
                learning_curves(place, record.cells, self.arms, curves) for place in places if known
            ]
            group = f"curves{number}"
            names = [measure_label(name) for name in known]
            yield Panel(family, self.add(charts, group), group=group, measures=names)

    def of_costs(self, record: Record) -> Iterable[Panel]:
        """The panels of time and memory against depth."""
        for family, places in families(record.places):
            yield Panel(family, self.add(costs_of(record, places)))
