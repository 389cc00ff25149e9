"""The tables of the arms of a record: how their runs ended, their scores, and what they cost."""

from __future__ import annotations

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.summaries import ArmSummary, PlaceSummary
from zoo.compare.report.formats import number, scaled
from zoo.compare.report.tables import Table, arms_at_places

NOT_DONE = ("diverged", "failed", "waiting")


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
            number(scaled(arm.flops, 1e-6)),
            number(scaled(arm.seconds_per_step, 1e3)),
            number(arm.seconds),
            number(scaled(arm.peak_memory_bytes, 2**-20)),
        ]
        for place, arm in arms_at_places(record)
    ]
    head = "place|arm|done|not done|parameters|MFLOPs a step|ms a step|s a run|MiB of the process"
    return Table("What every arm costs at every place", head, rows)
