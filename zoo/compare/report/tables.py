"""The tables of a record, for the page, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.aggregate import contrasts_of
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.signs import TESTS, least_p
from zoo.compare.analysis.summaries import ArmSummary, Contrast, PlaceSummary
from zoo.compare.report.formats import interval, number, range_without_a_task, secondary_gap

NOT_DONE = ("diverged", "failed", "waiting")


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        title: above it.
        head: names of its columns, separated by `|`.
        rows: cells of each row, texts or numbers, as many as columns.
    """

    title: str
    head: str
    rows: Sequence[Sequence[Any]] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.head.split("|")


def arms_at_places(record: Record) -> Iterator[tuple[PlaceSummary, ArmSummary]]:
    """Every place with each of its arms."""
    return ((place, arm) for place in record.places for arm in place.arms)


def contrast_table(
    record: Record,
    title: str,
    head: str,
    cells: Callable[[Contrast], Sequence[Any]],
    shown: Callable[[Contrast], bool] = lambda contrast: True,
) -> Table:
    """A table with a row for every contrast, which begins with its place, arm and baseline.

    Args:
        record: of the comparison.
        title: of the table.
        head: names of the further columns, separated by `|`.
        cells: gives those columns of a contrast.
        shown: whether a contrast has a row.
    """
    rows = [
        [place.title, c.arm, c.baseline, *cells(c)]
        for place, c in contrasts_of(record.places)
        if shown(c)
    ]
    return Table(title, f"place|arm|baseline|{head}", rows)


def gaps(record: Record) -> Table:
    """The gap and the verdict of every contrast."""
    test = TESTS[record.declared.test]
    means = {(p.title, a.arm): number(a.mean) for p, a in arms_at_places(record)}
    rows = [
        [p.title, metric_label(p.metric),
         f"{c.arm} {means[p.title, c.arm]}",
         f"{c.baseline} {means[p.title, c.baseline]}",
         interval(c.gap), c.verdict, secondary_gap(c, "training"),
         secondary_gap(c, "best_on_validation"), number(c.delta), f"{c.pairs}",
         number(c.beyond_p), "" if c.exploratory else number(c.holm_p),
         number(least_p(c.pairs, test))]
        for p, c in contrasts_of(record.places)
    ]  # fmt: skip
    head = (
        "place|metric|arm|baseline|gap|verdict|training gap|gap at the best step|smallest effect|"
        "pairs|p|p (Holm)|least p"
    )
    return Table("Every arm against its baseline at every place", head, rows)


def metric_label(metric: str | None) -> str:
    """A metric as people read it.

    >>> metric_label("test/mean_iou")
    'test mean iou'
    """
    return (metric or "").replace("/", " ").replace("_", " ")


def scores(record: Record) -> Table:
    """How many runs of every arm ended in which way, and their scores."""
    rows = [
        [p.title, a.arm, a.launched, a.done, a.diverged, a.failed,
         a.waiting, number(a.mean, 4), number(a.sd), number(a.train, 4),
         number(p.chance), examples(p, a)]
        for p, a in arms_at_places(record)
    ]  # fmt: skip
    head = (
        "place|arm|launched|done|diverged|failed|waiting|test mean|sd|training mean|chance|"
        "test examples (sd by their choice)"
    )
    return Table("Scores of every arm at every place", head, rows)


def examples(place: PlaceSummary, arm: ArmSummary) -> str:
    """The number of test examples and, for an accuracy, the deviation that their choice makes."""
    count, mean = arm.examples, arm.mean
    if not count or mean is None or place.metric != "test/accuracy":
        return f"{count:,}" if count else ""
    return f"{count:,} ({number((mean * (1 - mean) / count) ** 0.5)})"


def further(record: Record) -> Table:
    """Further statistics of every contrast."""
    head = (
        "mean gap|rate of pairs in which the arm is better|p (ahead at all)|p (equivalence)|"
        "p (equivalence, Holm)|failed to train|pairs"
    )
    return contrast_table(
        record,
        "Further statistics of the gaps",
        head,
        lambda c: [
            number(c.mean),
            interval(c.better),
            *map(number, (c.p, c.equivalence_p, c.equivalence_holm_p)),
            c.failures,
            ", ".join(map(str, c.seeds)),
        ],
    )


def secondary(record: Record) -> Table:
    """The gaps of every contrast by other measures."""
    names = ("best_on_validation", "finished_only")
    return contrast_table(
        record,
        "Secondary: the same runs judged in another way",
        "gap (primary)|at the best step on validation|without pairs that diverged",
        lambda c: [interval(c.gap), *(secondary_gap(c, name) for name in names)],
    )


def growth(record: Record) -> Table:
    """How the gap of every arm grows with depth, the primary hypothesis."""
    rows = [
        [s.family, s.arm, s.baseline, ", ".join(map(str, s.depths)),
         interval(s.slope), number(s.holm_p), s.verdict,
         ", ".join(map(number, s.each))]
        for s in record.slopes
    ]  # fmt: skip
    head = (
        "family|arm|baseline|depths|a doubling of depth adds (95 % interval)|p (Holm)|verdict|"
        "every pair"
    )
    return Table("How gaps grow with depth: the primary hypothesis", head, rows)


def averages(record: Record) -> Table:
    """The averages over tasks of every arm and its baseline."""
    rows = [
        [a.arm, a.baseline, ", ".join(a.tasks), number(a.iqm),
         number(a.baseline_iqm), interval(a.gap), range_without_a_task(a)]
        for a in record.overall
    ]  # fmt: skip
    title = "Interquartile means over tasks at their deepest (chance is 0, the reference is 1)"
    head = "arm|baseline|tasks|arm's mean|baseline's mean|gap (95 % by bootstrap)|one task left out"
    return Table(title, head, rows)


def costs(record: Record) -> Table:
    """Size, time and memory of every arm at every place."""
    rows = [
        [
            place.title,
            arm.arm,
            f"{arm.done} of {arm.launched}",
            ", ".join(f"{n} {status}" for status in NOT_DONE if (n := getattr(arm, status)))
            or "none",
            f"{arm.parameters:,.0f}" if arm.parameters else "",
            number((arm.flops or 0) / 1e6),
            number(1e3 * arm.seconds_per_step) if arm.seconds_per_step else "",
            number(arm.seconds),
            number((arm.peak_memory_bytes or 0) / 2**20),
        ]
        for place, arm in arms_at_places(record)
    ]
    head = "place|arm|done|not done|parameters|MFLOPs a step|ms a step|s a run|MiB of the process"
    return Table("What every arm costs at every place", head, rows)
