"""The table of the first screen: what may be said of every arm, shallow and deep, by task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.compare.analysis.aggregate import contrasts_of, families
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.statistics import rate_bound
from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.report.chart import label
from zoo.compare.report.formats import MARK, measure_label, rounded
from zoo.compare.report.tables import Table
from zoo.compare.report.tables_across import enough

Entry = tuple[PlaceSummary, Contrast]
HEAD = ("task", "arm", "baseline", "shallow (exploratory)", "deep", "with depth",
        "failed to train", "at the best step", "warnings")  # fmt: skip
ALWAYS = ("task", "deep")
TITLE = "Gap and verdict of every task, bold where it is corrected for all others"


@dataclass(frozen=True)
class Lines:
    """A cell of several lines; the last one is bold where it is a claim that can be relied on."""

    lines: Sequence[str]
    claim: bool = False

    def __str__(self) -> str:
        """The lines in a row."""
        return ", ".join(self.lines)


def verdict_table(record: Record) -> Table:
    """A row for each arm in each family of places; columns that say nothing are left out."""
    rows = [
        row_of(record, places, arm, baseline)
        for _, places in families(record.places)
        for arm, baseline in record.declared.baselines.items()
        if any(c.arm == arm for _, c in contrasts_of(places))
    ]
    several = {"arm": len({str(row[1]) for row in rows}) > 1}
    several["baseline"] = len({str(row[2]) for row in rows}) > 1
    kept = [
        i
        for i, name in enumerate(HEAD)
        if name in ALWAYS or several.get(name, any(str(row[i]) for row in rows))
    ]
    head = "|".join(HEAD[i] for i in kept)
    return Table(TITLE, head, [[row[i] for i in kept] for row in rows])


def row_of(record: Record, places: list[PlaceSummary], arm: str, baseline: str) -> list[Any]:
    """The row of an arm in a family.

    Args:
        record: of the comparison.
        places: of the family, from the shallowest to the deepest.
        arm: its name.
        baseline: the other one's.
    """
    entries = [entry for entry in contrasts_of(places) if entry[1].arm == arm]
    deep, shallow = entries[-1], entries[0] if len(entries) > 1 else None
    ends = [entry for entry in (shallow, deep) if entry]
    family = deep[0].family
    slopes = [s for s in record.slopes if (s.family, s.arm) == (family, arm)]
    return [
        Lines([family, *filter(None, [measure_label(deep[0].metric)])]),
        arm,
        baseline,
        gap(*shallow, explores=True) if shallow else "",
        gap(*deep),
        Lines([s.verdict for s in slopes], all(enough(s) and not s.exploratory for s in slopes)),
        Lines(
            [
                *(failures(*shallow) if shallow and any(shallow[1].untrained) else ()),
                *failures(*deep),
            ]
        ),
        Lines([line for entry in ends for line in at_best(*entry)]),
        Lines(warnings(ends)),
    ]


def gap(place: PlaceSummary, contrast: Contrast, explores: bool = False) -> Lines:
    """The gap and the verdict at a place.

    Args:
        place: where the arms meet.
        contrast: of the arms.
        explores: whether the column says so, and the verdict need not.
    """
    verdict = contrast.verdict.removesuffix(MARK) if explores else contrast.verdict
    words = [at(place, rounded(contrast.gap, contrast.delta) or "unknown"), verdict]
    claim = not contrast.exploratory and contrast.pairs >= contrast.needed
    return Lines(words, claim=claim)


def at(place: PlaceSummary, words: str) -> str:
    """Words with the name that the place has in its family, if it has one."""
    name = label(place)
    return words if name == place.title else f"{name}: {words}"


def failures(place: PlaceSummary, contrast: Contrast) -> list[str]:
    """How many runs of the two arms failed to train, or how many could have."""
    if any(contrast.untrained):
        return [at(place, contrast.failures)]
    n = contrast.pairs
    bound = f"(up to {100 * rate_bound(0, n):.0f} % each)"
    if place.chance is None:  # who ended no better than chance is not known
        return [at(place, f"none diverged in {n} {bound}"), "chance is not known"] if n else []
    return [at(place, f"none in {n} {bound}")] if n else []


def warnings(entries: Sequence[Entry]) -> list[str]:
    """Why the two arms are not alike, said once where it is the same everywhere."""
    every = [c.warnings for _, c in entries]
    if all(each == every[0] for each in every):
        return every[0]
    return [at(place, warning) for place, c in entries for warning in c.warnings]


def at_best(place: PlaceSummary, contrast: Contrast) -> list[str]:
    """The gap and the verdict at the best step on validation, where that verdict is another one."""
    view = contrast.secondary.get("best_on_validation")
    if not contrast.at_best:
        return []
    return [at(place, rounded(view, contrast.delta)), contrast.at_best]
