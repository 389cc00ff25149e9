"""The folders of comparisons: what they declare and their runs, read and joined."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from zoo.compare.analysis.analyse import with_result
from zoo.compare.analysis.record import Declared, Record
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.runs import read as typed
from zoo.errors import ConfigError
from zoo.run_folder import ENDED, SCHEMA, RunFolder

PLAN = "plan.json"  # what a comparison under way will do
ADDRESS = re.compile("[0-9a-f]{20}")  # of a run
ALONE = "report these folders one by one"
AGAIN = "write the report again from the folders of the runs"
T = TypeVar("T", Run, Declared)


@dataclass
class Source:
    """A comparison's folder and its record, or its plan while it is under way."""

    path: Path
    record: Record

    @property
    def homes(self) -> list[Path]:
        """The folders that may hold its runs: its own, and those that it was joined from."""
        return [self.path, *(self.path / home for home in self.record.homes)]


def read(path: Path) -> Source:
    """The record in a folder."""
    file = path / PLAN if (path / PLAN).is_file() else path / "compare.json"
    fix = "name the folder of a comparison"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be read", str(file), fix) from None
    except ValueError:
        raise ConfigError("no JSON", str(file), fix) from None
    whole = isinstance(found, dict) and found.keys() >= {"name", "command", "declared", "cells"}
    if not whole or found.get("schema") != SCHEMA:
        raise ConfigError(f"no record of a comparison of schema {SCHEMA}", str(file), fix)
    cells, homes = found["cells"], found.get("homes", [])
    runs = [checked(row, file) for row in (cells if isinstance(cells, list) else [cells])]
    refuse_strange(homes, file)
    declared = made(Declared, found["declared"], "what is declared", file)
    record = Record(
        schema=SCHEMA,
        name=found["name"],
        command=found["command"],
        declared=declared,
        cells=runs,
        homes=homes,
    )
    return Source(path, record)


def checked(row: Any, file: Path) -> Run:
    """A run of a record; ConfigError where it is none.

    A record may come from elsewhere: what it names is opened only where it can be a run.
    """
    name = row.get("id") if isinstance(row, dict) else row
    if not isinstance(name, str) or not ADDRESS.fullmatch(name):
        raise ConfigError(f"a run is called {str(name)[:80]!r}", str(file), AGAIN)
    return made(Run, row, f"run {name}", file)


def made(kind: type[T], row: Any, what: str, file: Path) -> T:
    """A part of a record from JSON; ConfigError where its keys are others."""
    try:
        return typed(kind, row)
    except ValueError as error:
        raise ConfigError(f"{what} {error}", str(file), AGAIN) from None


def refuse_strange(homes: Any, file: Path) -> None:
    """ConfigError for homes of runs that are no comparisons."""
    for home in homes if isinstance(homes, list) else [homes]:
        place = file.parent / home if isinstance(home, str) else None
        known = place and any((place / name).is_file() for name in (PLAN, "compare.json"))
        if place is None or (place.exists() and not known):
            raise ConfigError(f"{str(home)[:80]!r} holds no comparison", str(file), AGAIN)


def joined(sources: Sequence[Source]) -> Declared:
    """What all folders declare, as one; ConfigError where two disagree."""
    whole = Declared(null=sources[0].record.declared.null)
    for source in sources:
        declared = source.record.declared
        for key in ("arms", "baselines", "effects", "references", "published"):
            known = getattr(whole, key)
            for name, value in getattr(declared, key).items():
                if known.setdefault(name, value) != value:
                    what = f"{key} of {name} are declared as {known[name]} and {value}"
                    raise ConfigError(what, str(source.path), ALONE)
        if declared.null != whole.null:
            what = "a null comparison does not join another"
            raise ConfigError(what, str(source.path), ALONE)
        whole.places += [place for place in declared.places if place not in whole.places]
        whole.pairs += [pair for pair in declared.pairs if pair not in whole.pairs]
    both = sorted(set(whole.baselines.values()) & whole.baselines.keys())
    if both:
        what = f"{both[0]} is a baseline in one folder and has one in another"
        raise ConfigError(what, str(sources[-1].path), ALONE)
    return whole


def runs_of(sources: Sequence[Source]) -> list[Run]:
    """The runs of all folders, from their results; one whose folder is gone stays as it was."""
    found: dict[tuple[str, str, int], Run] = {}
    recipes: dict[tuple[str, str], str | None] = {}
    for source in sources:
        for run in source.record.cells:
            key = (run.place, run.arm, run.pair)
            fresh = renewed(run, source.homes)
            known = found.get(key, fresh)
            recipe = recipes.setdefault((run.family, run.arm), fresh.recipe)
            what = ""
            if recipe != fresh.recipe:
                what = "runs of this arm have other settings in another folder"
            if known.id != fresh.id:
                what = "this run has other settings in another folder"
            elif known.ended and fresh.ended and known.value != fresh.value:
                what = f"this run has the values {known.value} and {fresh.value}"
            if what:
                where = f"{source.path}: {run.place}, {run.arm}, pair {run.pair}"
                raise ConfigError(what, where, ALONE)
            found[key] = known if known.ended else fresh
    order = list(dict.fromkeys(run.place for run in found.values()))
    return sorted(found.values(), key=lambda run: order.index(run.place))


def renewed(run: Run, homes: Sequence[Path]) -> Run:
    """A run from its result, if that is there."""
    result = finished(run.id, homes)
    return run if result is None else with_result(run, result)


def finished(id: str, homes: Sequence[Path]) -> dict[str, Any] | None:
    """The result of a run, from the first folder that has one."""
    results = (RunFolder(home / "cells" / id).result() for home in homes)
    return next((result for result in results if result.get("status") in ENDED), None)
