"""Figures of a record for papers, as PNG and SVG: scores, gaps and learning curves."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo.compare.analysis.aggregate import families
from zoo.compare.analysis.curves import Curves
from zoo.compare.analysis.record import Place, Record
from zoo.compare.report.chart import Chart, better
from zoo.compare.report.chart_curves import learning
from zoo.compare.report.chart_gaps import entries_of, forest
from zoo.compare.report.chart_scores import scores_of
from zoo.compare.report.draw_matplotlib import draw, legend
from zoo.probes.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")
ROWS, COLUMNS = 6, 4  # panels of one figure
LINES = 40  # contrasts of one figure
DPI = 200


def draw_all(record: Record, curves: Curves, folder: Path) -> None:
    """Writes `score`, `gaps` and `curves`; what does not fit goes on in `score-2` and so on."""
    import matplotlib

    folder.mkdir(exist_ok=True)
    every = {"score": scores(record), "gaps": gaps(record), "curves": learnings(record, curves)}
    for name, kind in itertools.product(every, ("png", "svg")):
        for old in (folder / f"{name}.{kind}", *folder.glob(f"{name}-[0-9]*.{kind}")):
            old.unlink(missing_ok=True)
    with warnings.catch_warnings(), matplotlib.rc_context():
        matplotlib.rcParams["svg.fonttype"], matplotlib.rcParams["svg.hashsalt"] = "none", "zoo"
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        for name, figures in every.items():
            for number, figure in enumerate(figures, 1):
                stem = name if number == 1 else f"{name}-{number}"
                figure.set_dpi(DPI)
                figure.draw_without_rendering()  # lays out, once for both files
                figure.set_layout_engine("none")
                figure.savefig(folder / f"{stem}.png", dpi=DPI, metadata={"Software": None})
                figure.savefig(folder / f"{stem}.svg", metadata={"Date": None})


def chunks(entries: Sequence[T], most: int) -> Iterator[list[T]]:
    """Parts in order, each of at most so many entries.

    >>> list(chunks([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    yield from (list(entries[i : i + most]) for i in range(0, len(entries), most))


def scores(record: Record) -> Iterator[Figure]:
    """Test and training score against depth, a row for each family."""
    for part in chunks(families(record.places), ROWS):
        figure = new_figure(8.4, 2.7 * len(part) + 0.4)
        panels = figure.subplots(len(part), 2, squeeze=False)
        charts = [scores_of(record, places) for _, places in part]
        for row, (family, places), both in zip(panels, part, charts, strict=True):
            title = f"{family} (lower is better)" if better(places) == "lower" else family
            for axis, chart in zip(row, both, strict=True):
                draw(axis, chart, title)
        legend(figure, list(record.declared.arms), [*itertools.chain(*charts)])
        yield figure


def gaps(record: Record) -> Iterator[Figure]:
    """Forest plots, one below the other."""
    arms = list(record.declared.arms)
    parts = [
        forest(family, part, arms)
        for family, places in families(record.places)
        for part in chunks(entries_of(places), LINES)
    ]
    while parts:
        here = [parts.pop(0)]
        while parts and sum(len(c.rows) + 2 for c in here) + len(parts[0].rows) <= LINES:
            here.append(parts.pop(0))
        counts = [len(chart.rows) for chart in here]
        figure = new_figure(6.4, 0.3 * sum(counts) + 0.9 * len(here) + 0.2)
        panels = figure.subplots(len(here), 1, squeeze=False, height_ratios=counts)[:, 0]
        for axis, chart in zip(panels, here, strict=True):
            draw(axis, chart, most=64)
        yield figure


def learnings(record: Record, curves: Curves) -> Iterator[Figure]:
    """Learning curves: in validation where that has lines, otherwise the training loss.

    A family has a row of up to four places, from the shallowest to the deepest; the page has all.
    """
    arms = list(record.declared.arms)
    rows = [
        [learning(place, record.cells, arms, curves) for place in spread(places)]
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
                draw(axis, chart, measure=measure_of(chart))
        legend(figure, arms, [])
        yield figure


def spread(places: list[Place]) -> list[Place]:
    """Up to four places, evenly spread."""
    if len(places) <= COLUMNS:
        return places
    last = len(places) - 1
    return [places[round(i * last / (COLUMNS - 1))] for i in range(COLUMNS)]


def measure_of(chart: Chart) -> str:
    """The measure that a figure shows: one of validation, of those that have lines."""
    known = [s.measure for s in chart.series if s.kind == "curve"]
    lines = [s.measure for s in chart.series if s.kind == "curve" and len(s.x) > 2]
    return next((m for m in lines if m.startswith("val/")), (lines or known or [""])[0])
