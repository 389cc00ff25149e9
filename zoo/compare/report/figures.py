"""Figures of a record for papers, as PNG and SVG: verdicts, scores, gaps, curves and streams."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo.compare.analysis.aggregate import contrasts_of, families
from zoo.compare.analysis.curves import Curves
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.summaries import PlaceSummary
from zoo.compare.report.chart import Chart, better_direction
from zoo.compare.report.chart_curves import learning_curves
from zoo.compare.report.chart_gaps import forest
from zoo.compare.report.chart_scores import scores_of
from zoo.compare.report.chart_tasks import task_charts
from zoo.compare.report.chart_tuning import sensitivity_charts
from zoo.compare.report.chart_verdicts import verdict_chart
from zoo.compare.report.chart_why import why_charts
from zoo.compare.report.draw_matplotlib import draw, legend
from zoo.compare.report.formats import PARTS
from zoo.probes.plots import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")
ROWS, COLUMNS = 6, 4  # panels of one figure
LINES = 40  # contrasts of one figure
DPI = 200


def draw_all(record: Record, curves: Curves, folder: Path) -> None:
    """Writes each figure, continued in `score-2` and so on; some only where there is something.


    Runs of a program that is not ours have no curves.

    Args:
        record: of the comparison.
        curves: of its runs.
        folder: for the figures; older ones in it are removed.
    """
    import matplotlib

    folder.mkdir(exist_ok=True)
    figures = {
        "verdicts": verdict_figures(record),
        "tasks": task_figures(record),
        "score": score_figures(record),
        "gaps": gap_figures(record),
        "curves": () if record.declared.scripts and not curves else curve_figures(record, curves),
        "tuning": tuning_figures(record),
        "why": why_figures(record),
    }
    for name, kind in itertools.product(figures, ("png", "svg")):
        for old in (folder / f"{name}.{kind}", *folder.glob(f"{name}-[0-9]*.{kind}")):
            old.unlink(missing_ok=True)
    with warnings.catch_warnings(), matplotlib.rc_context():
        matplotlib.rcParams["svg.fonttype"], matplotlib.rcParams["svg.hashsalt"] = "none", "zoo"
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        for name, pages in figures.items():
            for number, figure in enumerate(pages, 1):
                stem = name if number == 1 else f"{name}-{number}"
                figure.set_dpi(DPI)
                figure.draw_without_rendering()  # lays out, once for both files
                figure.set_layout_engine("none")
                figure.savefig(folder / f"{stem}.png", dpi=DPI, metadata={"Software": None})
                figure.savefig(folder / f"{stem}.svg", metadata={"Date": None})


def chunks(items: Sequence[T], most: int) -> Iterator[list[T]]:
    """Consecutive parts of some items, each of at most so many.

    >>> list(chunks([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    yield from (list(items[i : i + most]) for i in range(0, len(items), most))


def verdict_figures(record: Record) -> Iterator[Figure]:
    """Figures of the gaps of all tasks and arms, shallow and deep."""
    arms = list(record.declared.arms)
    marks = 2 * max(1, len(record.declared.baselines))
    for part in chunks([places for _, places in families(record.places)], -(-LINES // marks)):
        chart = verdict_chart(record, part)
        figure = new_figure(6.4, chart.height / 80 + 0.4)
        draw(figure.subplots(), chart, most=64)
        legend(figure, arms, [chart])
        yield figure


def task_figures(record: Record) -> Iterator[Figure]:
    """A figure of performance profiles and of the probability of improvement."""
    if charts := task_charts(record):
        figure = new_figure(8.4, max(3.0, 1.6 + 0.3 * len(record.overall)))
        for axis, chart in zip(figure.subplots(1, 2), charts, strict=True):
            draw(axis, chart)
        legend(figure, list(record.declared.arms), charts)
        yield figure


def score_figures(record: Record) -> Iterator[Figure]:
    """Figures of test and training score against depth, with a row for each family."""
    for part in chunks(families(record.places), ROWS):
        figure = new_figure(8.4, 2.7 * len(part) + 0.4)
        panels = figure.subplots(len(part), 2, squeeze=False)
        charts = [scores_of(record, places) for _, places in part]
        for row, (family, places), both in zip(panels, part, charts, strict=True):
            title = f"{family} (lower is better)" if better_direction(places) == "lower" else family
            for axis, chart in zip(row, both, strict=True):
                draw(axis, chart, title)
        legend(figure, list(record.declared.arms), [*itertools.chain(*charts)])
        yield figure


def gap_figures(record: Record) -> Iterator[Figure]:
    """Figures of forest plots, one below the other."""
    arms = list(record.declared.arms)
    waiting = [
        forest(family, part, arms)
        for family, places in families(record.places)
        for part in chunks(contrasts_of(places), LINES)
    ]
    while waiting:
        charts = [waiting.pop(0)]
        while waiting and sum(len(c.rows) + 2 for c in charts) + len(waiting[0].rows) <= LINES:
            charts.append(waiting.pop(0))
        counts = [len(chart.rows) for chart in charts]
        figure = new_figure(6.4, 0.3 * sum(counts) + 0.9 * len(charts) + 0.2)
        panels = figure.subplots(len(charts), 1, squeeze=False, height_ratios=counts)[:, 0]
        for axis, chart in zip(panels, charts, strict=True):
            draw(axis, chart, most=64)
        yield figure


def curve_figures(record: Record, curves: Curves) -> Iterator[Figure]:
    """Figures of learning curves: in validation where that has lines, otherwise the training loss.

    A family has a row of up to four places, from the shallowest to the deepest; the page has all.
    """
    arms = list(record.declared.arms)
    rows = [
        [learning_curves(place, record.cells, arms, curves) for place in evenly_spread(places)]
        for _, places in families(record.places)
    ]
    for part in chunks(rows, ROWS):
        columns = max(map(len, part))
        figure = new_figure(2.7 * columns + 0.6, 2.4 * len(part) + 0.4)
        panels = figure.subplots(len(part), columns, squeeze=False)
        for row, charts in zip(panels, part, strict=True):
            for axis in row[len(charts) :]:
                axis.set_visible(False)
            for axis, chart in zip(row, charts, strict=False):
                draw(axis, chart, measure=shown_measure(chart))
        legend(figure, arms, [])
        yield figure


def tuning_figures(record: Record) -> Iterator[Figure]:
    """Figures of the scores on validation against the values that were tried."""
    for part in chunks(sensitivity_charts(record), 2 * ROWS):
        columns = min(len(part), 2)
        rows = -(-len(part) // columns)
        figure = new_figure(4.2 * columns, 2.7 * rows + 0.4)
        panels = figure.subplots(rows, columns, squeeze=False).flat
        for axis, chart in itertools.zip_longest(panels, part):
            if chart:
                draw(axis, chart)
            else:
                axis.set_visible(False)
        legend(figure, list(record.declared.arms), part)
        yield figure


def why_figures(record: Record) -> Iterator[Figure]:
    """Figures of the streams by depth, with a row for every place."""
    places = [*dict.fromkeys(stream.place for stream in record.streams)]
    for part in chunks(places, ROWS):
        figure = new_figure(10.8, 2.4 * len(part) + 0.4)
        panels = figure.subplots(len(part), 4, squeeze=False)
        charts = [why_charts(record, place) for place in part]
        for row, place, four in zip(panels, part, charts, strict=True):
            for axis, chart in zip(row, four, strict=True):
                draw(axis, chart)
            row[0].set_ylabel(plain(place, 32))
        legend(figure, list(record.declared.arms), [*itertools.chain(*charts)])
        yield figure


def evenly_spread(places: list[PlaceSummary]) -> list[PlaceSummary]:
    """Up to four of some places, evenly spread, with the first and the last one."""
    if len(places) <= COLUMNS:
        return places
    last = len(places) - 1
    return [places[round(i * last / (COLUMNS - 1))] for i in range(COLUMNS)]


def shown_measure(chart: Chart) -> str:
    """The measure of a chart that a figure shows: preferably in validation, with lines."""
    known = [s.measure for s in chart.series if s.kind == "curve"]
    lines = [s.measure for s in chart.series if s.kind == "curve" and len(s.x) > 2]
    return next((m for m in lines if m.startswith(PARTS["val"])), (lines or known or [""])[0])
