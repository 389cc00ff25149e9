"""The plan of a comparison, written before its first run, and everything that departed from it.

A claim is worth its 5 % only where what is tested, how often and with how many pairs was settled
before anyone saw a result. The plan is locked by its digest; the history has every look at the
results, and what was asked for later than it should have been.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo.compare.analysis.foreseen import Foreseen, Look
from zoo.compare.analysis.signs import TESTS, power
from zoo.compare.design.cell import digest
from zoo.compare.design.settled import SETTLED
from zoo.errors import DataError
from zoo.system.atomic import atomic_write

FILE = "plan.json"
FIX = "begin a comparison in another folder: dir=FOLDER"
NAMED = {
    "arms": "arms",
    "baselines": "baselines",
    "effects": "smallest effects",
    "references": "references",
    "stopping": "the stopping rule",
    "metric": "the metric",
    "code": "the code",
    "null": "what is compared with what",
    "tuned": "what is tuned",
    "scripts": "the command",
}  # parts of a plan that may not change, as people call them


@dataclass
class LockedPlan:
    """What was settled before the first run, and what happened to it since.

    Args:
        plan: what is compared, and what will be tested.
        begun: when, in UTC.
        looks: at the results so far.
        departures: from the plan, in sentences; where there is one, all verdicts explore.
    """

    plan: dict[str, Any]
    begun: str
    looks: list[Look] = field(default_factory=list)
    departures: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The name of the plan, which no other one has."""
        return digest(self.plan)

    def depart(self, asked: Mapping[str, Any]) -> None:
        """Notes what another plan for the same folder has changed.

        More pairs are no departure before the first look that could end in a verdict: up to then
        nobody could have stopped, or gone on, by one. Where p hold at every look, any number does.
        """
        known, seen = self.plan, any(look.claims for look in self.looks)
        changed = [words for key, words in NAMED.items() if known.get(key) != asked.get(key)]
        found = [f"{words} changed after the first run" for words in changed]
        recipes, others = known.get("recipes", {}), asked.get("recipes", {})
        other = [arm for arm in recipes if others.get(arm, recipes[arm]) != recipes[arm]]
        if other:
            found.append(f"options of runs changed after the first run: {listed(other)}")
        shared = [place for place in known["places"] if place in asked["places"]]
        varied = ([p for p in shared if p in it.get("varied", shared)] for it in (known, asked))
        if next(varied) != next(varied):
            found.append("whether pairs have data of their own changed after the first run")
        fixed = known["test"] == asked["test"] == "fixed"
        for key in ("places", "pairs") if fixed else ("places",):
            more = [x for x in asked[key] if x not in known[key]]
            less = [x for x in known[key] if x not in asked[key]]
            if less:
                found.append(f"{key} that the plan has were left out: {listed(less)}")
            if more and (key == "places" or seen):
                found.append(f"{key} were added after results were seen: {listed(more)}")
        if fixed and not found and not seen:
            self.plan = {**known, "pairs": list(asked["pairs"])}
        self.departures += [words for words in found if words not in self.departures]

    def look(self, pairs: int, claims: bool) -> None:
        """Notes a look at results, unless there are none or it shows no more than the last one."""
        if pairs and (not self.looks or self.looks[-1].pairs != pairs):
            self.looks.append(Look(now(), pairs, claims))

    def foreseen(self) -> Foreseen:
        """The plan in short."""
        plan, pairs, hypotheses = self.plan, len(self.plan["pairs"]), self.plan["hypotheses"]
        return Foreseen(
            digest=self.digest,
            begun=self.begun,
            pairs=pairs,
            stopping=plan["stopping"],
            hypotheses=hypotheses,
            power=power(pairs, len(hypotheses), test=TESTS[plan["test"]]),
            looks=self.looks,
        )

    def write(self, folder: Path) -> None:
        """Writes the plan into the folder of its comparison."""
        content = {"digest": self.digest, **asdict(self)}
        atomic_write(folder / FILE, json.dumps(content, indent=1))


def opened(folder: Path, asked: dict[str, Any], trains: bool) -> LockedPlan:
    """The plan that a folder has, with what departs from it in the one that is asked for.

    A folder in which no run has ended gets it now; one with runs too, but that is a departure.

    Args:
        folder: of the comparison.
        asked: what the plan would settle.
        trains: whether runs are missing; where none is, new code changes nothing.

    Errors:
        DataError: the file was changed by hand.
    """
    locked, ran = read(folder), any((folder / "cells").glob("[!.]*"))
    if not ran or not locked:
        late = ["runs had ended before a plan was written"] if ran else []
        locked = LockedPlan(asked, now(), departures=late)
    locked.depart(asked if trains else {**asked, "code": locked.plan["code"]})
    locked.write(folder)
    return locked


def read(folder: Path) -> LockedPlan | None:
    """The plan in a folder; None where there is none.

    Errors:
        DataError: the file holds something else, or another plan than its digest says.
    """
    file = folder / FILE
    if not file.is_file() or of_an_earlier_version(file):
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        told = content.pop("digest")
        content["looks"] = [Look(**look) for look in content["looks"]]
        locked = LockedPlan(**content)
        missing = {*SETTLED, "stopping", "hypotheses", "code"} - locked.plan.keys()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError("no plan of a comparison", str(file), FIX) from None
    if missing:
        raise DataError(f"the plan has no {min(missing)}", str(file), FIX)
    if locked.digest != told:
        raise DataError("the plan is not the one that was locked", str(file), FIX)
    return locked


def of_an_earlier_version(file: Path) -> bool:
    """Whether a file is the record that earlier versions kept of a comparison under way."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.keys() >= {"declared", "cells"}


def listed(values: Sequence[Any]) -> str:
    """Values in a row, the first ten of them."""
    more = f" and {len(values) - 10} more" if len(values) > 10 else ""
    return ", ".join(map(str, values[:10])) + more


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
