"""The tables of single runs: how they ended, their commands and the digests that pair them."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.compare.analysis.record import Record
from zoo.compare.report.formats import (
    event_text,
    interval,
    number,
    probability,
    why_no_score,
)
from zoo.compare.report.tables import Table, arms_at_places, contrast_table, known_p

DIGESTS = {
    "data_digest": "data",
    "branch_digest": "branches as drawn",
    "start_digest": "branches at the start",
    "order_digest": "batches",
}
LOST = {
    "comparison": "pair {pair}",
    "configured values": "pair {pair} at the configured values",
    "tuning": "tuning, seed {pair}",
}  # names of runs, by phase
SHOWN_EVENTS = 3  # of each run


@dataclass(frozen=True)
class Code:
    """A text that the page shows as code; one with an id has a button that copies it."""

    text: str
    id: str = ""


def failures(record: Record) -> Table:
    """Every run that failed or diverged, and why; of those of tuning only the failed ones."""
    rows = [
        [run.place, run.arm, words.format(pair=run.pair), run.status, why_no_score(run), run.id]
        for phase, words in LOST.items()
        for run in record.phases.get(phase, [])
        if run.status == "failed" or (run.status == "diverged" and phase != "tuning")
    ]
    return Table("Runs without a score of their own", "place|arm|run|what|why|address", rows)


def failure_rates(record: Record) -> Table:
    """How many runs of an arm diverged or failed, for every arm with such runs."""
    rows = [
        [p.title, a.arm, a.diverged, a.failed, a.launched, interval(a.divergence)]
        for p, a in arms_at_places(record)
        if a.diverged or a.failed
    ]
    head = "place|arm|diverged|failed|launched|rate of divergence (95 % interval)"
    return Table("Rates", head, rows)


def failures_to_train(record: Record) -> Table:
    """Whether an arm fails to train more often than its baseline, where some run did."""
    return contrast_table(
        record,
        "Runs that diverged, or ended no better than chance",
        "of the arm|of the baseline|p (McNemar)|in words",
        lambda c: [*c.untrained, probability(known_p(c, c.failure_p)), c.failures],
        lambda c: any(c.untrained),
    )


def events(record: Record) -> Table:
    """Losses out of the usual and lost steps, for every run that has some."""
    rows = [
        [c.place, c.arm, c.pair, len(some), "; ".join(map(event_text, some[:SHOWN_EVENTS]))]
        for c in record.cells
        if (some := c.events)
    ]
    return Table("Losses out of the usual", "place|arm|pair|events|the first ones", rows)


def commands(record: Record) -> Table:
    """The score of every run, and the command that repeats it."""
    rows = [
        [c.place, c.arm, c.pair, c.seed, c.status, number(c.value, 5),
         number(c.train, 5), Code(c.command, f"cell{i}")]
        for i, c in enumerate(record.cells)
    ]  # fmt: skip
    head = "place|arm|pair|seed|status|score|training|command"
    return Table("Runs and their commands", head, rows)


def digests(record: Record) -> Table:
    """Addresses and digests of every run, which show what the runs of a pair share."""
    rows = [
        [c.place, c.arm, c.pair, Code(c.id),
         *(Code((getattr(c, key) or "")[:16]) for key in DIGESTS)]
        for c in record.cells
    ]  # fmt: skip
    title = (
        "Addresses and the first 16 digits of digests: equal in a pair, or the verdict is blocked"
    )
    return Table(title, "|".join(["place|arm|pair|address", *DIGESTS.values()]), rows)
