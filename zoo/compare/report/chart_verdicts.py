"""The chart of the first screen: the gaps of all tasks and arms, shallow and deep."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.aggregate import contrasts_of, families
from zoo.compare.analysis.over_tasks import way
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.report.chart import Axis, Chart, Series, isolated, label, metric_of
from zoo.compare.report.formats import interval, measure_label
from zoo.errors import cut

Entry = tuple[PlaceSummary, Contrast]
BETWEEN = 0.7  # tasks, in rows
WORSE_BETTER = "← worse | better →"


def verdict_chart(record: Record, members: Sequence[list[PlaceSummary]] = ()) -> Chart:
    """Each gap with its interval, hollow at the shallowest place of a task, full at the deepest.

    Where every task has a chance and a reference, gaps are parts of the way between them. A grey
    box reaches as far as the smallest effect. A blocked gap is not drawn.

    Args:
        record: of the comparison.
        members: places of each family that is shown; none: of all families.
    """
    members = members or [places for _, places in families(record.places)]
    shown = [[e for arm in record.declared.baselines for e in ends(places, arm)]
             for places in members]  # fmt: skip
    ways = [abs(way(places[-1], record.declared.references)) for places in members]
    scales = ways if all(ways) else [1.0] * len(members)
    arms = list(record.declared.arms)
    series: list[Series] = []
    ticks, rows, top = [], [], 0.0
    for entries, scale in zip(shown, scales, strict=True):
        for row, (place, c) in enumerate(entries):
            hollow = c.exploratory
            series += marks(top + row, place, c, scale, arms.index(c.arm), hollow)
            rows.append([place.title, measure_label(place.metric), c.arm, c.baseline,
                         interval(c.gap), c.verdict])  # fmt: skip
        ticks.append(top + (len(entries) - 1) / 2)
        top += len(entries) + BETWEEN
    words = [f"{title}, {arm} against {baseline}: {verdict}, gap {gap or 'unknown'}."
             for title, _, arm, baseline, gap, verdict in rows]  # fmt: skip
    names = [cut(places[-1].family, 20) for places in members]
    return Chart(
        title="Gap by task: hollow shallow, full deep",
        words=" ".join(words) or "There is nothing to compare.",
        head=("place", "metric", "arm", "baseline", "gap", "verdict"),
        rows=rows,
        series=series,
        x=Axis(unit(members, scales is ways), range=None if series else (-1, 1)),
        y=Axis("", ticks, names, (top - BETWEEN - 0.2, -0.8)),
        band=0.0,
        notes=[] if series else [(0.0, 0.0, "no gap is known")],
        height=int(90 + 21 * max(top, 1)),
    )


def ends(places: Sequence[PlaceSummary], arm: str) -> list[Entry]:
    """The contrast of an arm at the shallowest and at the deepest of some places."""
    entries = [entry for entry in contrasts_of(places) if entry[1].arm == arm]
    return entries[:1] + entries[1:][-1:]


def unit(members: Sequence[Sequence[PlaceSummary]], normalised: bool) -> str:
    """The title of the axis of gaps.

    Args:
        members: places of each family.
        normalised: whether gaps are parts of the way from chance to the reference.
    """
    if normalised:
        return f"{WORSE_BETTER} (1: from chance to the reference)"
    metrics = {metric_of(places) for places in members}
    return f"{WORSE_BETTER} ({metrics.pop() if len(metrics) == 1 else 'in the unit of each task'})"


def marks(
    y: float, place: PlaceSummary, c: Contrast, scale: float, arm: int, hollow: bool
) -> list[Series]:
    """The smallest effect as a box and the gap with its interval; nothing of a blocked gap.

    Args:
        y: row of the contrast.
        place: where the arms meet.
        c: the contrast.
        scale: that gaps are divided by.
        arm: number of its arm.
        hollow: whether the mark is.
    """
    if c.gap is None or c.verdict.startswith("blocked"):
        return []
    delta = c.delta / scale
    box = Series("effect", [-delta, delta, delta, -delta, -delta],
                 [y - 0.5, y - 0.5, y + 0.5, y + 0.5, y - 0.5])  # fmt: skip
    text = (
        f"{label(place)}, {isolated(c.arm)} against {isolated(c.baseline)}: {interval(c.gap)} in "
        f"{measure_label(place.metric)}, {c.verdict}"
    )
    gap, low, high = (
        None if v is None else v / scale for v in (c.gap.value, c.gap.low, c.gap.high)
    )
    return [box, Series("gap", [gap], [y], [text], arm, c.arm, [hollow], low, high)]
