"""A record in words: numbers, intervals, sentences, and what a reader must know first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.compare.analysis.aggregate import families
from zoo.compare.analysis.record import Average, Contrast, Record
from zoo.compare.analysis.runs import WAITING, Event, Run
from zoo.compare.analysis.statistics import Interval
from zoo.compare.analysis.verdict import CLAIM, DIRECTION

SAME = "One set of hyperparameters for all arms; none was tuned for this comparison."
OTHER = "Arms set options beside the connection; they stand under the arms of the report."
CAVEATS = (
    "Every run is judged at its last step. Runs that diverged count as chance.",
    "These tasks are no sample of all tasks.",
)
LEAST = 5e-7  # what is nearer to zero is rounding


def number(value: float | None, digits: int = 3) -> str:
    """A number with some significant digits.

    >>> number(0.98765), number(-12.34), number(None)
    ('0.988', '-12.3', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    if abs(value) < LEAST:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 6)}f}"


def interval(found: Interval | None) -> str:
    """An estimate with its interval."""
    if found is None:
        return ""
    if found.low is None:
        return f"{number(found.value)}"
    return f"{number(found.value)} ({number(found.low)} to {number(found.high)})"


def viewed(contrast: Contrast, view: str) -> str:
    """A secondary gap, and the number of its pairs where it has not all of them."""
    found = contrast.secondary[view]
    told = interval(found)
    if found is None or found.pairs == contrast.pairs:
        return told
    return f"{told}, {found.pairs} of {contrast.pairs} pairs"


def omitted(found: Average) -> str:
    """The least and the largest gap of an average over tasks when one of them is left out."""
    ranked = sorted(found.without.items(), key=lambda item: item[1])
    ends = [f"{number(gap)} without {task}" for task, gap in (*ranked[:1], *ranked[1:][-1:])]
    return " to ".join(ends)


def why(cell: Run) -> str:
    """Why a run has no score of its own."""
    chance = ["counts as chance"] if cell.status == "diverged" else []
    return "; ".join(filter(None, [*chance, cell.reason]))


def event_words(event: Event) -> str:
    """An event of a run in a few words.

    >>> event_words({"step": 7, "kind": "spike", "value": 12.0, "median": 0.5})
    'step 7: a loss of 12.0, usual are 0.500'
    >>> event_words({"step": 7, "kind": "skip", "value": None})
    'step 7: not finite, left out'
    """
    if event["kind"] == "spike":
        words = f"a loss of {number(event['value'])}, usual are {number(event['median'])}"
    elif event["kind"] == "rollback":
        words = f"not finite, back to step {event['to']}"
    else:
        words = "not finite, left out"
    return f"step {event['step']}: {words}"


def said(values: Mapping[str, Any]) -> str:
    """Keys and values in a row.

    >>> said({"cores": 2, "gpus": []}), said({})
    ('cores 2, gpus none', 'not recorded')
    """
    told = (f"{key} {'none' if value == [] else value}" for key, value in values.items())
    return ", ".join(told) or "not recorded"


@dataclass(frozen=True)
class Statement:
    """What is said of one contrast in one family.

    Args:
        arm: its name.
        baseline: the other one's.
        parts: of the sentence: where, the verdict and the gap; the deepest place, the shallowest
            one, and the growth with depth.
    """

    arm: str
    baseline: str
    parts: list[tuple[str, str, str]]


def statements(record: Record) -> dict[str, list[Statement]]:
    """For each family a statement of every contrast."""
    found: dict[str, list[Statement]] = {}
    for family, places in families(record.places):
        for arm, baseline in record.declared.baselines.items():
            own = [(p, c) for p in places for c in p.contrasts if c.arm == arm]
            parts = [
                (
                    place.title.removeprefix(family).lstrip(", ") or "overall",
                    contrast.verdict,
                    f", gap {interval(contrast.gap) or 'unknown'}",
                )
                for place, contrast in (own[-1:] + own[:-1][:1])
            ]
            slope = [s for s in record.slopes if s.family == family and s.arm == arm]
            parts += [("the gap by depth", s.verdict, "") for s in slope]
            if parts:
                found.setdefault(family, []).append(Statement(arm, baseline, parts))
    return found


def sentences(record: Record) -> list[str]:
    """One sentence for each family and contrast."""
    return [
        f"{family}, {s.arm} against {s.baseline}: "
        f"{'; '.join(f'{where}: {found}{gap}' for where, found, gap in s.parts)}."
        for family, own in statements(record).items()
        for s in own
    ]


def caveats(record: Record) -> list[str]:
    """What holds for every comparison."""
    keys = {key.partition(".")[0] for arm in record.declared.arms.values() for key in arm}
    return [SAME if keys <= {"connection", "long"} else OTHER, *CAVEATS]


def banner(record: Record) -> list[str]:
    """What a reader must know before the verdicts are believed."""
    contrasts = [c for place in record.places for c in place.contrasts]
    counts = [c.pairs for c in contrasts]
    fewest, pairs = min(counts, default=0), max(counts, default=0)
    enough = max((c.needed for c in contrasts), default=CLAIM)
    runs, ends = len(record.cells), [row.status for row in record.cells]
    blocked = sum(c.verdict.startswith("blocked") for c in contrasts)
    found = []
    few = f"{pairs} {'pair' if pairs == 1 else 'pairs'}"
    if pairs <= DIRECTION:
        found.append(f"Direction only: {few}. So few runs show which way a difference "
                     f"points, not whether it is real; a verdict needs {enough}.")  # fmt: skip
    elif pairs < enough:
        found.append(f"Intervals, few verdicts: {few}; a verdict at the deepest place needs "
                     f"{enough}.")  # fmt: skip
    elif fewest < enough:
        short = sum(c.pairs < c.needed for c in contrasts)
        found.append(f"{short} of {len(counts)} gaps have fewer pairs than a verdict needs.")
    if record.declared.null:
        found.append("A null comparison: both arms are the same rule under other seeds, so every "
                     "verdict of a difference would be false.")  # fmt: skip
    if waiting := ends.count(WAITING):
        found.append(f"{waiting} of {runs} runs have not run yet.")
    if lost := ends.count("failed"):
        found.append(f"{lost} of {runs} runs failed and are missing below.")
    if blocked:
        found.append(f"{blocked} of {len(contrasts)} verdicts are blocked; they say why.")
    if diverged := ends.count("diverged"):
        found.append(f"{diverged} runs diverged. They count as chance, and the exact test "
                     "decides where there are some.")  # fmt: skip
    return found
