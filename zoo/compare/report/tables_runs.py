"""The tables of runs: how they ended, what repeats them and what proves that they are paired."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.compare.analysis.record import Record
from zoo.compare.report.tables import Table, arms, contrasts
from zoo.compare.report.words import event_words, interval, number, why

DIGESTS = {
    "data_digest": "data",
    "branch_digest": "branches as drawn",
    "start_digest": "branches at the start",
    "order_digest": "batches",
}
FEW = 3  # events of a run that are told


@dataclass(frozen=True)
class Code:
    """A text for machines; one with an id can be copied."""

    text: str
    id: str = ""


def lost(record: Record) -> Table:
    """Runs that diverged or failed."""
    rows = [
        [c.place, c.arm, c.pair, c.status, why(c), c.id]
        for c in record.cells
        if c.status in ("failed", "diverged")
    ]
    return Table("Runs without a score of their own", "place|arm|pair|what|why|address", rows)


def rates(record: Record) -> Table:
    """How often runs diverged or failed."""
    rows = [
        [p.title, a.arm, a.diverged, a.failed, a.launched, interval(a.divergence)]
        for p, a in arms(record)
        if a.diverged or a.failed
    ]
    head = "place|arm|diverged|failed|launched|rate of divergence (95 % interval)"
    return Table("Rates", head, rows)


def divergence(record: Record) -> Table:
    """Whether one arm of a pair diverges more often than the other one."""
    rows = [
        [p.title, c.arm, c.baseline, *c.diverged, number(c.mcnemar_p)]
        for p, c in contrasts(record)
        if any(c.diverged)
    ]
    head = "place|arm|baseline|arm diverged|baseline diverged|p (McNemar)"
    return Table("Divergence by pair", head, rows)


def events(record: Record) -> Table:
    """Losses of runs that were far above the usual, and the steps that they lost."""
    rows = [
        [c.place, c.arm, c.pair, len(met), "; ".join(map(event_words, met[:FEW]))]
        for c in record.cells
        if (met := c.events)
    ]
    return Table("Losses out of the usual", "place|arm|pair|events|the first ones", rows)


def commands(record: Record) -> Table:
    """What repeats each run."""
    rows = [
        [c.place, c.arm, c.pair, c.seed, c.status, number(c.value, 5),
         number(c.train, 5), Code(c.command, f"cell{i}")]
        for i, c in enumerate(record.cells)
    ]  # fmt: skip
    head = "place|arm|pair|seed|status|score|training|command"
    return Table("Runs and their commands", head, rows)


def digests(record: Record) -> Table:
    """What proves that the arms of a pair met the same branches, batches and data."""
    rows = [
        [c.place, c.arm, c.pair, Code(c.id),
         *(Code((getattr(c, key) or "")[:16]) for key in DIGESTS)]
        for c in record.cells
    ]  # fmt: skip
    title = (
        "Addresses and the first 16 digits of digests: equal in a pair, or the verdict is blocked"
    )
    return Table(title, "|".join(["place|arm|pair|address", *DIGESTS.values()]), rows)
