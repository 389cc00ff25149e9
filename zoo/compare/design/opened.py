"""The plan that a comparison begins with: that of its folder, or a new one.

The same runs give the same results in any folder, so that what a new plan asks for may have been
seen in a folder beside its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from zoo.compare.design.axes import Values
from zoo.compare.design.departures import departures
from zoo.compare.design.history import Event, now
from zoo.compare.design.locked_plan import FILE, LATE, RECORD, LockedPlan, read
from zoo.errors import DataError, listed
from zoo.run_folder import ENDED
from zoo.system.one_writer import exclusive

SHOWN = 3  # folders in a sentence
RUNS = "results of these runs were"
OTHER_SEEDS = "the same gaps with other seeds were"
NAMESAKE = "a command of the same name, arms and metric was"


def opened(folder: Path, asked: Values, trains: bool) -> LockedPlan:
    """The plan that a folder has, with what departs from it in the one that is asked for.

    A folder gets it now, and anew as long as none of its runs has ended and nothing was seen. One
    with runs and no plan gets it too, but that is a departure.

    Args:
        folder: of the comparison.
        asked: the plan of the command line.
        trains: whether runs are still to come, by whatever code there is now.
    """
    with exclusive(folder):
        locked, ran, known = read(folder), has_results(folder), None
        if locked and (ran or locked.looks):
            known = locked.plan
        else:
            late = [Event(kind="departure", time=now(), words=LATE)] if ran else []
            locked = LockedPlan(asked, now(), late)
        locked.depart(asked if trains else {**asked, "code": locked.plan["code"]})
        if not locked.looks and locked.plan != known:
            said = {event.words for event in locked.events}
            locked.events += [e for e in seen_beside(folder, locked.plan) if e.words not in said]
        locked.write(folder)
    return locked


def has_results(folder: Path) -> bool:
    """Whether runs have ended in a folder, which its last report tells also where they are gone."""
    if any((folder / "cells").glob("[!.]*")):
        return True
    try:
        cells = json.loads((folder / RECORD).read_text(encoding="utf-8"))["cells"]
        return any(cell["status"] in ENDED for cell in cells)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def seen_beside(folder: Path, asked: Values) -> Iterator[Event]:
    """What is known of the runs of a new plan from the folders beside its own, as events.

    Where both runs of a pair were seen, another plan for them departs, and the same one does not.
    Where only one of them was, such as a baseline's, or where one plan tunes and the other does
    not, no gap was; but seeds may be picked by it. That the same gaps were seen with other seeds,
    or a command of the same name, arms and metric, is noted.

    Args:
        folder: of the comparison.
        asked: the new plan.
    """
    seen: dict[tuple[str, str], list[str]] = {}  # the folders, by what was seen and what differs
    for file in sorted(folder.resolve().parent.glob(f"*/{FILE}")):
        other = None if file.parent == folder.resolve() else plan_beside(file.parent)
        if other and other.looks and (seen_there := what_was_seen(other, asked)):
            seen.setdefault(seen_there, []).append(file.parent.name)
    for (what, differs), folders in seen.items():
        words = f"{what} seen in {listed(folders, SHOWN)}"
        if differs:
            words = f"{words} by another plan: {differs}"
        yield Event(kind="departure" if differs else "note", time=now(), words=words)


def what_was_seen(other: LockedPlan, asked: Values) -> tuple[str, str] | None:
    """What another folder showed of a new plan, and how its plan for that differs; None: nothing.

    Args:
        other: the plan of the other folder.
        asked: the new plan.
    """
    known = other.plan
    alike = known.get("tuned") == asked.get("tuned")  # else arms have values of their own
    gaps = alike and gaps_of(known) & gaps_of(asked)
    shared = not {*known["pairs"]}.isdisjoint(asked["pairs"])
    if gaps and shared:
        apart = departures(known, {**asked, "code": known["code"]}, other.looks)
        return RUNS, listed(apart)
    if gaps:
        return OTHER_SEEDS, ""
    if shared and runs_of(known) & runs_of(asked):
        picked = asked["pairs"] not in (known["pairs"], [*range(len(asked["pairs"]))])
        return RUNS, "seeds that were picked" if picked else ""
    both = [[plan.get("scripts", {}).keys(), plan["arms"], plan["metric"]]
            for plan in (known, asked)]  # fmt: skip
    return (NAMESAKE, "") if both[0][0] and both[0] == both[1] else None


def plan_beside(folder: Path) -> LockedPlan | None:
    """The plan in another folder; None where there is none that can be read."""
    try:
        return read(folder)
    except (DataError, OSError):
        return None


def runs_of(plan: Values) -> set[tuple[str, str]]:
    """The place and the recipe of the runs of each arm; none where an earlier version planned."""
    recipes = plan.get("recipes", {})
    both = ((place, f"{place}, {arm}") for place in plan["places"] for arm in plan["arms"])
    return {(place, recipes[key]) for place, key in both if key in recipes}


def gaps_of(plan: Values) -> set[tuple[str, frozenset[str]]]:
    """The place and the two recipes of each arm and its baseline."""
    recipes = plan.get("recipes", {})
    every = (
        (place, [f"{place}, {arm}" for arm in pair])
        for place in plan["places"]
        for pair in plan["baselines"].items()
    )
    return {
        (place, frozenset(recipes[key] for key in keys))
        for place, keys in every
        if recipes.keys() >= {*keys}
    }
