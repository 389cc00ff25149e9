"""The tables of what holds across places: how gaps grow with depth, and gaps over tasks."""

from __future__ import annotations

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.signs import TESTS, least_p
from zoo.compare.analysis.slopes import Slope
from zoo.compare.analysis.verdict import DIRECTION
from zoo.compare.report.formats import (
    directions,
    interval,
    number,
    probability,
    range_without_a_task,
)
from zoo.compare.report.tables import Table, corrected_p


def growth(record: Record) -> Table:
    """How the gap of every arm grows with depth, a family of hypotheses of its own."""
    rows = [
        [s.family, s.arm, s.baseline, ", ".join(map(str, s.depths)), interval(s.slope),
         probability(s.beyond_p if len(s.each) > DIRECTION else None),
         *(corrected_p(s, p if enough(s) else None) for p in (s.holm_p, s.ahead_holm_p)),
         probability(least_p(len(s.each), TESTS[record.declared.test])), s.verdict,
         ", ".join(map(number, s.each))]
        for s in record.slopes
    ]  # fmt: skip
    head = (
        "family|arm|baseline|depths|a doubling of depth adds (95 % interval)|p|p (Holm)|"
        "p (ahead, Holm)|least p|verdict|every pair"
    )
    return Table("How gaps grow with depth: a family of hypotheses of its own", head, rows)


def enough(slope: Slope) -> bool:
    """Whether a slope has as many pairs as its verdict needs."""
    return len(slope.each) >= slope.needed


def averages(record: Record) -> Table:
    """The averages over tasks of the gaps of every arm and its baseline."""
    rows = [
        [a.arm, a.baseline, ", ".join(a.tasks), interval(a.gap), interval(a.iqm),
         interval(a.improvement), directions(a), range_without_a_task(a)]
        for a in record.overall
    ]  # fmt: skip
    title = "Gaps over tasks at their deepest (chance is 0, the reference is 1)"
    head = (
        "arm|baseline|tasks|mean gap (95 % interval)|interquartile mean of gaps|"
        "probability of improvement|directions|mean gap with one task left out"
    )
    return Table(title, head, rows)
