"""The forest plot for papers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoo.compare.analysis.aggregate import families
from zoo.compare.analysis.record import Contrast, Place, Record
from zoo.compare.report.charts import named
from zoo.compare.report.matplotlib_style import chunks, drawn, plain, styled
from zoo.probes.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = 40  # contrasts of one figure
Entries = list[tuple[Place, Contrast]]  # places and contrasts


def gaps(record: Record) -> Iterator[Figure]:
    """Every difference of a pair, their mean with its interval, a band of what matters not."""
    arms = list(record.declared.arms)
    parts = [
        (family, part)
        for family, places in families(record.places)
        for part in chunks([(p, c) for p in places for c in p.contrasts], LINES)
    ]
    while parts:
        here = [parts.pop(0)]
        while parts and sum(len(e) + 2 for _, e in here) + len(parts[0][1]) <= LINES:
            here.append(parts.pop(0))
        counts = [len(entries) for _, entries in here]
        figure = new_figure(6.4, 0.3 * sum(counts) + 0.9 * len(here) + 0.2)
        panels = figure.subplots(len(here), 1, squeeze=False, height_ratios=counts)[:, 0]
        for axis, (family, entries) in zip(panels, here, strict=True):
            forest(axis, family, entries, arms)
        yield figure


def forest(axis: Axes, family: str, entries: Entries, arms: list[str]) -> None:
    """One panel."""
    names = [plain(text, 45) for text in named(entries)]
    for y, (_, c) in enumerate(entries):
        if c.gap is None:
            axis.text(0, y, "no pair has ended", ha="center", va="center", fontsize=8)
            continue
        style, gap, dots = drawn(arms.index(c.arm)), c.gap, c.differences
        axis.scatter(dots, [y + 0.27] * len(dots), s=9, alpha=0.6, linewidth=0, **style)
        ends = [[0.0], [0.0]]
        if gap.low is not None and gap.high is not None:
            ends = [[gap.value - gap.low], [gap.high - gap.value]]
        axis.errorbar([gap.value], [y], xerr=ends, markersize=6, capsize=3, **style,
                      linestyle="none", elinewidth=0.8 if c.exact_only else 1.5)  # fmt: skip
    delta = max([c.delta for _, c in entries], default=0.0)
    axis.axvspan(-delta, delta, color="0.85", zorder=0)
    axis.axvline(0, color="0.2", linewidth=0.8)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    metrics = (place.metric for place, _ in entries if place.metric)
    metric = next(metrics, "test/score").removeprefix("test/")
    against = "its baseline" if len({c.baseline for _, c in entries}) > 1 else ""
    against = against or plain(entries[0][1].baseline, 24)
    title = f"gap in {metric} (right: better than {against})"
    styled(axis, family, "", "")
    axis.set_xlabel(title)
    axis.locator_params(axis="x", nbins=6)
    axis.grid(visible=False, axis="y")
