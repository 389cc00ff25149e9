"""The plan of a comparison, written before its first run, and everything that departed from it.

A claim is worth its 5 % only where what is tested, how often and with how many pairs was settled
before anyone saw a result. The plan is locked by its digest; the history has every look at the
results, and what was asked for later than it should have been.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo.compare.analysis.record import Declared
from zoo.compare.design.cell import digest
from zoo.compare.design.plan import Plan
from zoo.errors import DataError
from zoo.system.atomic import atomic_write

FILE = "plan.json"
BESIDE = ("compare", "cli", "probes", "bench")  # rooms that change no result of a run
FIX = "begin a comparison in another folder: dir=FOLDER"
NAMED = {
    "arms": "arms",
    "baselines": "baselines",
    "effects": "smallest effects",
    "references": "references",
    "stopping": "the stopping rule",
    "hypotheses": "primary hypotheses",
    "metric": "the metric",
    "code": "the code",
}  # parts of a plan that may not change, as people call them


@dataclass
class Look:
    """A look at results.

    Args:
        time: in UTC, as ISO 8601 has it.
        pairs: that were seen, the most at any place.
        claims: whether a verdict was possible then.
    """

    time: str
    pairs: int
    claims: bool


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
        nobody could have stopped, or gone on, by one.
        """
        known, seen = self.plan, any(look.claims for look in self.looks)
        changed = [words for key, words in NAMED.items() if known[key] != asked[key]]
        found = [f"{words} changed after the first run" for words in changed]
        for key, what in (("places", "places"), ("pairs", "pairs")):
            more = [x for x in asked[key] if x not in known[key]]
            less = [x for x in known[key] if x not in asked[key]]
            if less:
                found.append(f"{what} that the plan has were left out: {listed(less)}")
            if more and (key == "places" or seen):
                found.append(f"{what} were added after results were seen: {listed(more)}")
        if not found and not seen:
            self.plan = {**known, "pairs": list(asked["pairs"])}
        self.departures += [words for words in found if words not in self.departures]

    def look(self, pairs: int, claims: bool) -> None:
        """Notes a look at the results, unless it shows no more than the last one."""
        if not self.looks or self.looks[-1].pairs != pairs:
            self.looks.append(Look(now(), pairs, claims))

    def write(self, folder: Path) -> None:
        """Writes the plan into the folder of its comparison."""
        content = {"digest": self.digest, **asdict(self)}
        atomic_write(folder / FILE, json.dumps(content, indent=1))


def plan_of(plan: Plan, declared: Declared, stopping: str, code: str) -> dict[str, Any]:
    """What a plan settles, as JSON has it.

    Args:
        plan: of the runs.
        declared: of the comparison.
        stopping: how it ends, in words.
        code: digest of what trains.
    """
    settled = asdict(declared)
    kept = ("arms", "baselines", "effects", "references", "places", "pairs", "null")
    return {key: settled[key] for key in kept} | {
        "hypotheses": [[p.title(), *both] for p in plan.deepest for both in plan.baselines.items()],
        "metric": "the primary metric of each task on its test part, at the last step",
        "stopping": stopping,
        "code": code,
    }


def code_digest() -> str:
    """The name of what trains: the sources of both packages but for what compares and reports."""
    content = hashlib.sha256()
    for package in ("zoo", "tasks"):
        spec = importlib.util.find_spec(package)
        for home in (spec and spec.submodule_search_locations) or ():
            for file in sorted(Path(home).rglob("*.py")):
                name = file.relative_to(home)
                if name.parts[0] not in BESIDE:
                    content.update(f"{package}/{name}\n".encode() + file.read_bytes())
    return content.hexdigest()[:20]


def opened(folder: Path, asked: dict[str, Any]) -> LockedPlan:
    """The plan that a folder has, with what departs from it in the one that is asked for.

    A folder without one gets it now; where it has results already, that is a departure.

    Errors:
        DataError: the file was changed by hand.
    """
    file = folder / FILE
    locked = read(file) if file.is_file() else LockedPlan(asked, now())
    if not file.is_file() and any((folder / "cells").glob("[!.]*")):
        locked.departures.append("runs had ended before a plan was written")
    locked.depart(asked)
    locked.write(folder)
    return locked


def read(file: Path) -> LockedPlan:
    """The plan in a file; DataError where it is none, or another one than its digest says."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        told = content.pop("digest")
        content["looks"] = [Look(**look) for look in content["looks"]]
        locked = LockedPlan(**content)
    except (ValueError, TypeError, KeyError):
        raise DataError("no plan of a comparison", str(file), FIX) from None
    if locked.digest != told:
        raise DataError("the plan is not the one that was locked", str(file), FIX)
    return locked


def listed(values: Sequence[Any]) -> str:
    """Values in a row, the first ten of them."""
    more = f" and {len(values) - 10} more" if len(values) > 10 else ""
    return ", ".join(map(str, values[:10])) + more


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
