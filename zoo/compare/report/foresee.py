"""What the plan of a comparison foresaw of a record, and what it did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.compare.analysis.aggregate import contrasts_of
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import WAITING
from zoo.compare.design.locked_plan import FILE, LockedPlan, read
from zoo.compare.design.settled import settled
from zoo.system.console import say


def foresee(record: Record, folders: Sequence[Path], look: bool = True) -> Record:
    """The record with the plan of its folder, and with sentences on what no plan foresaw.

    Args:
        record: with what its runs show.
        folders: of the comparisons that hold the runs; only one alone has a plan of all.
        look: whether somebody will see it, which every plan notes.
    """
    plans = [(folder, locked) for folder in folders if (locked := read(folder))]
    if len(folders) > 1:
        unforeseen = [f"no plan foresaw this, which joins {len(folders)} comparisons"]
    elif plans:
        plans[0][1].depart({**plans[0][1].plan, **settled(record.declared)})
        unforeseen = [*plans[0][1].departures, *missing(plans[0][1], record)]
    else:
        unforeseen = ["no plan foresaw this; there is none beside the runs"]
    for folder, locked in plans if look else ():
        note_look(folder, locked, record)
    alone = plans[0][1].foreseen() if plans and len(folders) == 1 else None
    return replace(
        record, plan=alone, exploratory=[f"Exploratory: {words}." for words in unforeseen]
    )


def missing(locked: LockedPlan, record: Record) -> list[str]:
    """A sentence on runs of the plan that are not there and will not come, if there are any."""
    plan, declared = locked.plan, record.declared
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


def note_look(folder: Path, locked: LockedPlan, record: Record) -> None:
    """Writes into a plan that a record was looked at, which is said where it cannot be written."""
    contrasts = [c for _, c in contrasts_of(record.places)]
    pairs = max((c.pairs for c in contrasts), default=0)
    locked.look(pairs, any(0 < c.needed <= c.pairs for c in contrasts))
    try:
        locked.write(folder)
    except OSError as error:
        say(f"{folder / FILE} does not note this look: {error.strerror}")
