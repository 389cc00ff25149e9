"""The tables of a record, for the page, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.record import Arm, Contrast, Place, Record
from zoo.compare.report.words import interval, number, omitted, viewed

ENDS = ("diverged", "failed", "waiting")


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        title: above it.
        head: names of its columns, parted by `|`.
        rows: texts and numbers, as many as columns.
    """

    title: str
    head: str
    rows: Sequence[Sequence[Any]] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.head.split("|")


def contrasts(record: Record) -> Iterable[tuple[Place, Contrast]]:
    """Every place with each of its contrasts."""
    return ((place, c) for place in record.places for c in place.contrasts)


def arms(record: Record) -> Iterable[tuple[Place, Arm]]:
    """Every place with each of its arms."""
    return ((place, arm) for place in record.places for arm in place.arms)


def gaps(record: Record) -> Table:
    """Every arm against its baseline at every place."""
    means = {(p.title, a.arm): number(a.mean) for p, a in arms(record)}
    rows = [
        [p.title, (p.metric or "").removeprefix("test/"),
         f"{c.arm} {means[p.title, c.arm]}",
         f"{c.baseline} {means[p.title, c.baseline]}",
         interval(c.gap), c.verdict, viewed(c, "training"), f"{c.pairs}",
         number(c.holm_p) + ("*" if c.exploratory else "")]
        for p, c in contrasts(record)
    ]  # fmt: skip
    head = "place|metric|arm|baseline|gap|verdict|training gap|pairs|p (* uncorrected)"
    return Table("Every arm against its baseline at every place", head, rows)


def scores(record: Record) -> Table:
    """The scores of every arm."""
    rows = [
        [p.title, a.arm, a.launched, a.done, a.diverged, a.failed,
         a.waiting, number(a.mean, 4), number(a.sd), number(a.train, 4),
         number(p.chance), error_of(p, a)]
        for p, a in arms(record)
    ]  # fmt: skip
    head = (
        "place|arm|launched|done|diverged|failed|waiting|test mean|sd|training mean|chance|"
        "test examples (sd by their choice)"
    )
    return Table("Scores of every arm at every place", head, rows)


def error_of(place: Place, arm: Arm) -> str:
    """The examples of the test part, and how far their choice alone moves an accuracy."""
    count, mean = arm.examples, arm.mean
    if not count or mean is None or place.metric != "test/accuracy":
        return f"{count:,}" if count else ""
    return f"{count:,} ({number((mean * (1 - mean) / count) ** 0.5)})"


def further(record: Record) -> Table:
    """What else is computed of the differences."""
    rows = [
        [p.title, c.arm, c.baseline, interval(c.better), number(c.p),
         number(c.holm_p), number(c.equivalence_p), c.pairs_needed or "",
         "yes" if c.exact_only else "no", ", ".join(map(str, c.seeds))]
        for p, c in contrasts(record)
    ]  # fmt: skip
    head = (
        "place|arm|baseline|rate of pairs in which the arm is better|p (exact)|p (Holm)|"
        "p (equivalence)|pairs needed|exact test only|pairs"
    )
    return Table("Further statistics of the gaps", head, rows)


def secondary(record: Record) -> Table:
    """Gaps that are judged in another way."""
    rows = [
        [p.title, c.arm, c.baseline, interval(c.gap),
         *(viewed(c, view) for view in ("best_on_validation", "finished_only"))]
        for p, c in contrasts(record)
    ]  # fmt: skip
    head = (
        "place|arm|baseline|gap (primary)|at the best step on validation|"
        "without pairs that diverged"
    )
    return Table("Secondary: the same runs judged in another way", head, rows)


def growth(record: Record) -> Table:
    """The primary hypothesis."""
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
    """The means over tasks."""
    rows = [
        [f.arm, f.baseline, ", ".join(f.tasks), number(f.iqm),
         number(f.baseline_iqm), interval(f.gap), omitted(f)]
        for f in record.overall
    ]  # fmt: skip
    title = "Interquartile means over tasks at their deepest (chance is 0, the reference is 1)"
    head = "arm|baseline|tasks|arm's mean|baseline's mean|gap (95 % by bootstrap)|one task left out"
    return Table(title, head, rows)


def costs(record: Record) -> Table:
    """What every arm costs at every place."""
    rows = [
        [
            place.title,
            arm.arm,
            f"{arm.done} of {arm.launched}",
            ", ".join(f"{getattr(arm, end)} {end}" for end in ENDS if getattr(arm, end)) or "none",
            f"{arm.parameters:,.0f}" if arm.parameters else "",
            number((arm.flops or 0) / 1e6),
            number(1e3 * arm.seconds_per_step) if arm.seconds_per_step else "",
            number(arm.seconds),
            number((arm.peak_memory_bytes or 0) / 2**20),
        ]
        for place, arm in arms(record)
    ]
    head = "place|arm|done|not done|parameters|MFLOPs a step|ms a step|s a run|MiB of the process"
    return Table("What every arm costs at every place", head, rows)
