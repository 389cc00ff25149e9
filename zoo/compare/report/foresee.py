"""What the plan of a comparison foresaw of a record, and what it did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.compare.analysis.aggregate import contrasts_of
from zoo.compare.analysis.analyse import explore
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import WAITING
from zoo.compare.design.locked_plan import LockedPlan, updated
from zoo.compare.design.settled import settled, statistics_digest
from zoo.compare.report.formats import marked
from zoo.compare.report.tables_across import enough


def foresee(record: Record, folders: Sequence[Path], look: bool = True) -> Record:
    """The record with the plan of its folder, and with sentences on what no plan foresaw.

    Where there is one, everything in the record is exploratory.

    Args:
        record: with what its runs show.
        folders: of the comparisons that hold the runs; only one alone has a plan of all.
        look: whether somebody will see it, which every plan notes.
    """
    alone = len(folders) == 1

    def note(locked: LockedPlan) -> None:
        if alone:
            locked.depart(asked_by(record, locked.plan))
        if look:
            locked.look(*seen(record))

    plans = [locked for folder in folders if (locked := updated(folder, note))]
    if not alone:
        unforeseen = [f"no plan foresaw this, which joins {len(folders)} comparisons"]
    elif plans:
        unforeseen = [*plans[0].departures, *missing(plans[0].plan, record)]
    else:
        unforeseen = ["no plan foresaw this; there is none beside the runs"]
    if unforeseen:
        explore_all(record)
    return replace(
        record,
        plan=plans[0].foreseen() if plans and alone else None,
        exploratory=[f"Exploratory: {words}." for words in unforeseen],
    )


def asked_by(record: Record, known: dict[str, Any]) -> dict[str, Any]:
    """The plan that a record follows; `pairs=auto` may yet run all pairs of the one that is known.

    Args:
        record: with what it declares.
        known: the plan of its folder.
    """
    asked = {**known, **settled(record.declared), "statistics": statistics_digest()}
    auto = record.declared.test == known.get("test") == "auto"
    return {**asked, "pairs": known["pairs"]} if auto else asked


def seen(record: Record) -> tuple[int, bool]:
    """The most pairs that a record shows at a place, and whether a verdict is possible."""
    contrasts = [c for _, c in contrasts_of(record.places)]
    pairs = max((c.pairs for c in contrasts), default=0)
    return pairs, any(0 < c.needed <= c.pairs for c in contrasts)


def explore_all(record: Record) -> None:
    """Marks everything that a record says of gaps and of their growth as exploratory."""
    for _, contrast in contrasts_of(record.places):
        if not contrast.exploratory:
            explore(contrast)
        if contrast.pairs >= contrast.needed:
            contrast.at_best = marked(contrast.at_best)
            claim = " fails to train more often"
            contrast.failures = contrast.failures.replace(f"{claim}:", f"{marked(claim)}:")
    for slope in record.slopes:
        slope.exploratory = True
        if enough(slope):
            slope.verdict = marked(slope.verdict)


def missing(plan: dict[str, Any], record: Record) -> list[str]:
    """A sentence on runs of the plan that are not there and will not come, if there are any."""
    declared = record.declared
    pairs = [pair for pair in declared.pairs if pair in plan["pairs"]]
    planned = {
        (place, arm, pair)
        for place in plan["places"]
        for arm in plan["arms"]
        for pair in pairs
        if place in declared.places and arm in declared.arms
    }
    there = {(r.place, r.arm, r.pair) for r in record.cells if r.ended or r.status == WAITING}
    lost = len(planned - there)
    return [f"{lost} of {len(planned)} runs of the plan are missing"] if lost else []
