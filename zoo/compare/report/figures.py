"""Figures of a record for papers, as PNG and SVG: scores, gaps and learning curves."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.compare.analysis.aggregate import families
from zoo.compare.analysis.curves import Curves, measures
from zoo.compare.analysis.record import Place, Record, Run
from zoo.compare.report.charts import dodge, positions, ticks
from zoo.compare.report.figures_gaps import gaps
from zoo.compare.report.matplotlib_style import chunks, drawn, legend, plain, styled
from zoo.compare.report.published import draw, lines
from zoo.compare.report.style import DASHES, LIGHT, MARKERS, look
from zoo.probes.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS, COLUMNS = 6, 4  # panels of one figure
DPI = 200


def draw_all(record: Record, curves: Curves, folder: Path) -> None:
    """Writes `score`, `gaps` and `curves`; what does not fit goes on in `score-2` and so on."""
    import matplotlib

    folder.mkdir(exist_ok=True)
    every = {"score": scores(record), "gaps": gaps(record), "curves": learning(record, curves)}
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


def scores(record: Record) -> Iterator[Figure]:
    """Test and training score against depth: runs as dots, hollow if diverged, means as lines."""
    arms = list(record.declared.arms)
    for part in chunks(families(record.places), ROWS):
        figure = new_figure(8.4, 2.7 * len(part) + 0.4)
        panels = figure.subplots(len(part), 2, squeeze=False)
        chance = known = False
        for row, (family, places) in zip(panels, part, strict=True):
            metric = next((p.metric for p in places if p.metric), "test/score")
            name = metric.removeprefix("test/")
            better = all(place.higher_is_better for place in places)
            title = family if better else f"{family} (lower is better)"
            x, texts = positions(places), ticks(places)
            for axis, key, what in zip(row, ("value", "train"), ("test", "training"), strict=True):
                for i, arm in enumerate(arms):
                    own = [c for c in record.cells if c.arm == arm]
                    against(axis, i, dodge(i, len(arms), x), x, places, own, key)
                if key == "value" and (found := list(lines(record, places))):
                    known = True
                    draw(axis, found)
                if key == "value" and places[0].chance is not None:
                    chance = True
                    axis.axhline(places[0].chance, color="0.4", linewidth=0.8, linestyle=":")
                axis.set_xticks(x, [plain(text, 16) for text in texts])
                if max(map(len, texts)) * len(texts) > 40:
                    axis.tick_params(axis="x", labelrotation=30)
                depth = all(isinstance(p.depth, (int, float)) for p in places)
                styled(axis, title, "depth" if depth else "", f"{what} {name}")
        legend(figure, arms, chance, known)
        yield figure


def against(axis: Axes, number: int, shift: float, x: Sequence[float], places: Sequence[Place],
            cells: Sequence[Run], key: str) -> None:  # fmt: skip
    """One arm in a panel."""
    style = look(number)
    color, marker = LIGHT[style.index], MARKERS[style.symbol]
    means, dots = [], []
    for place, at in zip(places, x, strict=True):
        own = [c for c in cells if c.place == place.title and getattr(c, key) is not None]
        values = [getattr(c, key) for c in own]
        means.append(sum(values) / len(values) if values else math.nan)
        dots += [(at + shift, getattr(c, key), c.status == "diverged") for c in own]
    for hollow in (False, True):
        some = [(a, b) for a, b, bad in dots if bad == hollow]
        if some:
            face = "none" if hollow else color
            axis.scatter([a for a, _ in some], [b for _, b in some], s=14, marker=marker,
                         edgecolor=color, facecolor=face, alpha=0.6, linewidth=0.8)  # fmt: skip
    axis.plot([at + shift for at in x], means, color=color, marker=marker, markersize=5,
              linestyle=DASHES[style.dash], linewidth=1.5)  # fmt: skip


def learning(record: Record, curves: Curves) -> Iterator[Figure]:
    """Every run as a line: in validation where that has lines, otherwise the training loss.

    A family has a row of up to four places, from the shallowest to the deepest; the page has all.
    """
    arms = list(record.declared.arms)
    rows = [some(places) for _, places in families(record.places)]
    for part in chunks(rows, ROWS):
        columns = max(map(len, part))
        figure = new_figure(2.7 * columns + 0.6, 2.4 * len(part) + 0.4)
        panels = figure.subplots(len(part), columns, squeeze=False)
        for row, places in zip(panels, part, strict=True):
            for axis in row[len(places) :]:
                axis.set_visible(False)
            for axis, place in zip(row, places, strict=False):
                panel(axis, place, record.cells, arms, curves)
        legend(figure, arms)
        yield figure


def some(places: list[Place]) -> list[Place]:
    """Up to four places, evenly spread."""
    if len(places) <= COLUMNS:
        return places
    last = len(places) - 1
    return [places[round(i * last / (COLUMNS - 1))] for i in range(COLUMNS)]


def panel(
    axis: Axes, place: Place, cells: Sequence[Run], arms: Sequence[str], curves: Curves
) -> None:
    """The curves of one place."""
    own = [c for c in cells if c.place == place.title and c.id in curves]
    known = measures(place.metric, (curves[c.id] for c in own))
    lines = [m for m in known if any(len(curves[c.id].get(m, ())) > 1 for c in own)]
    shown = next((m for m in lines if m.startswith("val/")), (lines or known or [""])[0])
    for cell in own:
        arm = arms.index(cell.arm)
        if points := curves[cell.id].get(shown):
            steps, values = zip(*points, strict=True)
            dash = DASHES[look(arm).dash]
            axis.plot(steps, values, **drawn(arm), linestyle=dash, linewidth=0.9, alpha=0.8,
                      markevery=[-1], markersize=4)  # fmt: skip
    axis.locator_params(axis="x", nbins=5, integer=True)
    styled(axis, place.title, "step", shown or "no curves")
