"""The chart of the first screen: the gaps of all tasks and arms, shallow and deep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.compare.analysis.aggregate import contrasts_of, families, grouped
from zoo.compare.analysis.over_tasks import normalised, way
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.signs import TESTS, median_interval
from zoo.compare.analysis.statistics import Interval
from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.report.chart import Axis, Chart, Series, isolated, label, metric_of
from zoo.compare.report.formats import interval, measure_label
from zoo.errors import cut

Entry = tuple[PlaceSummary, Contrast]
Gap = tuple[Interval, float]  # with the smallest effect
BETWEEN = 0.7  # tasks, in rows


def verdict_chart(record: Record, members: Sequence[list[PlaceSummary]] = ()) -> Chart:
    """Each gap with its interval, at the shallowest and the deepest place of a task.

    The mark of what explores is hollow. Where all that is drawn has a chance and a reference, gaps
    are parts of the way between them. A grey box reaches as far as the smallest effect. A blocked
    gap is not drawn.

    Args:
        record: of the comparison.
        members: places of each family that is shown; none: of all families.
    """
    members = members or [places for _, places in families(record.places)]
    shown = [ends(places) for places in members]
    every = [entry for entries in shown for entry in entries if drawn(entry[1])]
    parts = [in_parts(place, c, record) for place, c in every]
    scaled = bool(parts) and all(parts)
    gaps = dict(zip((id(c) for _, c in every), parts, strict=True)) if scaled else {}
    arms = list(record.declared.arms)
    series: list[Series] = []
    ticks, rows, top = [], [], 0.0
    for entries in shown:
        for row, (place, c) in enumerate(entries):
            series += marks(top + row, place, c, arms.index(c.arm), gaps.get(id(c)))
            rows.append([place.title, measure_label(place.metric), c.arm, c.baseline,
                         interval(c.gap), c.verdict])  # fmt: skip
        ticks.append(top + (len(entries) - 1) / 2)
        top += len(entries) + BETWEEN
    words = [f"{title}, {arm} against {baseline}: {verdict}, gap {gap or 'unknown'}."
             for title, _, arm, baseline, gap, verdict in rows]  # fmt: skip
    names = [cut(places[-1].family, 16) for places in members]
    return Chart(
        title=f"Gap ({unit(members, scaled)})",
        words=" ".join(words) or "There is nothing to compare.",
        head=("place", "metric", "arm", "baseline", "gap", "verdict"),
        rows=rows,
        series=series,
        x=Axis("← worse | better →", range=None if series else (-1, 1)),
        y=Axis("", ticks, names, (top - BETWEEN - 0.2, -0.8)),
        band=0.0,
        notes=[] if series else [(0.0, 0.0, "no gap is known")],
        height=int(90 + (17 if len(arms) < 4 else 13) * max(top, 2)),
    )


def ends(places: Sequence[PlaceSummary]) -> list[Entry]:
    """The contrasts of each arm at the shallowest and then at the deepest of some places."""
    by_arm = grouped(contrasts_of(places), lambda entry: entry[1].arm)
    shallow = [entries[0] for _, entries in by_arm if len(entries) > 1]
    return shallow + [entries[-1] for _, entries in by_arm]


def unit(members: Sequence[Sequence[PlaceSummary]], normalised: bool) -> str:
    """What a gap is measured in.

    Args:
        members: places of each family.
        normalised: whether gaps are parts of the way from chance to the reference.
    """
    if normalised:
        return "1: from chance to the reference"
    metrics = {metric_of(places) for places in members}
    return metrics.pop() if len(metrics) == 1 else "in the unit of each task"


def drawn(c: Contrast) -> bool:
    """Whether a gap is drawn: it is known and not blocked."""
    return c.gap is not None and not c.verdict.startswith("blocked")


def in_parts(place: PlaceSummary, c: Contrast, record: Record) -> Gap | None:
    """The median gap in parts of the way from chance to the reference; None where that is unknown.

    Each score is of the way of its own run, whose data are the pair's. The smallest effect is of
    the median way.

    Args:
        place: where the arms meet.
        c: the contrast.
        record: of the comparison.
    """
    references, pairs = record.declared.references, set(c.seeds)
    arms = (c.arm, c.baseline)
    at = [run for run in record.cells if run.place == place.title and run.arm in arms]
    runs = [run for run in at if run.pair in pairs]
    ways = [way(run, references) for run in runs]
    if not all(ways):
        return None
    score = {(run.arm, run.pair): normalised(run, references) for run in runs}
    gaps = [score[c.arm, pair] - score[c.baseline, pair] for pair in c.seeds]
    effect = c.delta / abs(float(np.median(ways)))
    return median_interval(gaps, TESTS[record.declared.test]), effect


def marks(y: float, place: PlaceSummary, c: Contrast, arm: int, scaled: Gap | None) -> list[Series]:
    """The smallest effect as a box and the gap with its interval; nothing of a blocked gap.

    Args:
        y: row of the contrast.
        place: where the arms meet.
        c: the contrast.
        arm: number of its arm.
        scaled: its gap as it is drawn; None: in the unit of the metric.
    """
    if c.gap is None or not drawn(c):
        return []
    gap, delta = scaled or (c.gap, c.delta)
    box = Series("effect", [-delta, delta, delta, -delta, -delta],
                 [y - 0.5, y - 0.5, y + 0.5, y + 0.5, y - 0.5])  # fmt: skip
    text = (
        f"{label(place)}, {isolated(c.arm)} against {isolated(c.baseline)}: {interval(c.gap)} in "
        f"{measure_label(place.metric)}, {c.verdict}"
    )
    mark = Series("gap", [gap.value], [y], [text], arm, c.arm, [c.exploratory], gap.low, gap.high)
    return [box, mark]
