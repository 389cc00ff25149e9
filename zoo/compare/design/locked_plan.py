"""The plan of a comparison, written before its first run, and everything that happened to it.

A claim is worth its 5 % only where what is tested, how often and with how many pairs was settled
before anyone saw a result. The plan and its history, with every look at results and whatever was
asked for later than it should have been, are locked together by one digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from zoo.compare.analysis.foreseen import Foreseen, Look
from zoo.compare.analysis.signs import TESTS, power
from zoo.compare.design.axes import Values
from zoo.compare.design.cell import digest
from zoo.compare.design.departures import changes, departures, test_of
from zoo.compare.design.history import Event, heads, now
from zoo.compare.typed import typed
from zoo.errors import DataError
from zoo.system.atomic import atomic_write
from zoo.system.console import say
from zoo.system.one_writer import exclusive

FILE, RECORD = "plan.json", "compare.json"
FIX = "begin a comparison in another folder: dir=FOLDER"
BASIC = {"arms", "baselines", "effects", "references", "places", "pairs", "null", "hypotheses",
         "stopping", "metric", "code"}  # parts that every version wrote  # fmt: skip
LATE = "runs had ended before a plan was written"
UNLOCKED = "an earlier version wrote this plan and what happened to it up to here, without a lock"


@dataclass
class LockedPlan:
    """What was settled before the first run, and what happened to it since.

    Args:
        first: what is compared, and what will be tested, as it was settled.
        begun: when, in UTC.
        events: since then.
    """

    first: Values
    begun: str
    events: list[Event] = field(default_factory=list)

    @property
    def plan(self) -> Values:
        """What is settled now."""
        plan = dict(self.first)
        for event in self.events:
            plan |= event.plan
        return plan

    @property
    def digest(self) -> str:
        """The name of the plan, which no other one has."""
        return digest(self.plan)

    @property
    def heads(self) -> list[str]:
        """The digests of the plan and its history, after each event; the last one locks both."""
        return [*heads({"plan": self.first, "begun": self.begun}, self.events)]

    @property
    def looks(self) -> list[Look]:
        """The looks at results."""
        return [Look(e.time, e.pairs, e.claims) for e in self.events if e.kind == "look"]

    @property
    def departures(self) -> list[str]:
        """What departed from the plan, in sentences; where there is one, all verdicts explore."""
        return [event.words for event in self.events if event.kind == "departure"]

    def depart(self, asked: Mapping[str, Any]) -> None:
        """Notes what another plan for the same folder has changed."""
        known, looks = self.plan, self.looks
        for words in departures(known, asked, looks).values():
            if words not in self.departures:
                self.events.append(Event(kind="departure", time=now(), words=words))
        parts, words = changes(known, asked, looks)
        if parts:
            self.events.append(Event(kind="change", time=now(), words=words, plan=parts))

    def look(self, pairs: int, claims: bool) -> None:
        """Notes a look at results, unless there are none.

        Args:
            pairs: that it shows.
            claims: whether a verdict is possible.
        """
        if pairs:
            self.events.append(Event(kind="look", time=now(), pairs=pairs, claims=claims))

    def foreseen(self) -> Foreseen:
        """The plan in short."""
        plan, pairs, hypotheses = self.plan, len(self.plan["pairs"]), self.plan["hypotheses"]
        return Foreseen(
            digest=self.digest,
            head=self.heads[-1],
            begun=self.begun,
            pairs=pairs,
            stopping=plan["stopping"],
            hypotheses=hypotheses,
            slopes=plan.get("slopes", []),
            tune_seeds=plan.get("tune_seeds", 0),
            grid=plan.get("grid", {}),
            power=power(pairs, len(hypotheses), test=TESTS[test_of(plan)]),
            looks=self.looks,
            notes=[e.words for e in self.events if e.kind in ("change", "note")],
        )

    def write(self, folder: Path) -> None:
        """Writes the plan into the folder of its comparison."""
        events = [event.plain() for event in self.events]
        content = {"digest": self.heads[-1], "plan": self.first, "begun": self.begun}
        atomic_write(folder / FILE, json.dumps(content | {"events": events}, indent=1))


def updated(folder: Path, happens: Callable[[LockedPlan], None]) -> LockedPlan | None:
    """The plan of a folder after something has happened to it; None without a plan.

    It is written there; that it cannot be is said.

    Args:
        folder: of a comparison.
        happens: notes it.
    """
    locked = read(folder)
    if not locked:
        return None
    try:
        with exclusive(folder):
            locked = read(folder) or locked
            happens(locked)
            locked.write(folder)
    except OSError as error:
        say(f"{folder / FILE} does not note this look: {error.strerror}")
        locked = read(folder) or locked
        happens(locked)
    return locked


def read(folder: Path) -> LockedPlan | None:
    """The plan in a folder; None where there is none.

    It departs where a run had ended before it was locked.

    Errors:
        DataError: the file holds something else, or another plan or history than its digest says,
            or not what the last look at the folder saw, nor what followed from it.
    """
    file = folder / FILE
    if not file.is_file() or of_an_earlier_version(file):
        return None
    try:
        locked, valid = locked_in(json.loads(file.read_text(encoding="utf-8")))
        missing, late = BASIC - locked.first.keys(), ended_before(folder, locked.begun)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError("no plan of a comparison", str(file), FIX) from None
    if missing:
        raise DataError(f"the plan has no {min(missing)}", str(file), FIX)
    begun, head = last_reported(folder)
    anew = begun != locked.begun and LATE in locked.departures  # which says so by itself
    if not valid or (head and head not in locked.heads and not anew):
        raise DataError("the plan is not the one that was locked", str(file), FIX)
    if late and LATE not in locked.departures:
        locked.events.append(Event(kind="departure", time=now(), words=LATE))
    return locked


def ended_before(folder: Path, begun: str) -> bool:
    """Whether a run of a folder had ended before a time, by the date of its result."""
    start = datetime.fromisoformat(begun).timestamp()
    return any(
        file.stat().st_mtime < start for file in (folder / "cells").glob("[!.]*/result.json")
    )


def locked_in(content: Any) -> tuple[LockedPlan, bool]:
    """A plan with its history from JSON, and whether its digest says the same.

    In the files of earlier versions the digest is of the plan alone.
    """
    first, begun = content["plan"], content["begun"]
    if "events" in content:
        locked = LockedPlan(first, begun, [typed(Event, row) for row in content["events"]])
        return locked, locked.heads[-1] == content["digest"]
    looks = [Event(kind="look", **look) for look in content["looks"]]
    others = [Event(kind="departure", time=begun, words=words) for words in content["departures"]]
    note = Event(kind="note", time=begun, words=UNLOCKED)
    return LockedPlan(first, begun, [*looks, *others, note]), digest(first) == content["digest"]


def last_reported(folder: Path) -> tuple[str, str]:
    """When the plan was locked that the last report of a folder shows, and its digest then.

    Both are empty where there is none, or no result had been seen.
    """
    try:
        plan = json.loads((folder / RECORD).read_text(encoding="utf-8"))["plan"]
        return (plan["begun"], plan["head"]) if plan["looks"] else ("", "")
    except (OSError, ValueError, TypeError, KeyError):
        return "", ""


def of_an_earlier_version(file: Path) -> bool:
    """Whether a file is the record that earlier versions kept of a comparison under way."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.keys() >= {"declared", "cells"}
