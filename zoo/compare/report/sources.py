"""The folders of comparisons: their records, read and joined."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NotRequired, TypeVar

from typing_extensions import TypedDict

from zoo.compare.analysis.record import Declared, Record
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.tuned import Search, Tuning
from zoo.compare.design.locked_plan import FILE, of_an_earlier_version
from zoo.compare.typed import typed
from zoo.errors import ConfigError
from zoo.run_folder import SCHEMA

ADDRESS = re.compile("[0-9a-f]{20}")  # of a run
AGAIN = "write the report again from the folders of the runs"


class TuningRows(TypedDict):
    """What tuning did, as JSON has it; named as in `Tuning`."""

    seeds: list[int]
    searches: list[Any]
    configured: list[Any]
    runs: NotRequired[list[Any]]
    gaps: list[Any]


@dataclass(kw_only=True)
class Header:
    """The fields of a record that are read back as they are; fields are named as in `Record`."""

    name: str
    command: str
    cells: list[Any]
    homes: list[str] = field(default_factory=list)
    tuning: TuningRows | None = None


HEADER = {key.name for key in fields(Header)}
T = TypeVar("T", Header, Run, Declared, Search)


@dataclass
class Source:
    """The folder of a comparison and the record in it."""

    path: Path
    record: Record

    @property
    def folders(self) -> list[Path]:
        """The folders that may hold its runs: this one, and those that it was joined from."""
        return [self.path, *self.homes]

    @property
    def homes(self) -> list[Path]:
        """The folders that it was joined from; empty where it holds its runs itself."""
        return [self.path / home for home in self.record.homes]


def read_source(path: Path) -> Source:
    """The record in a folder.

    Errors:
        ConfigError: there is no record, or a value in it is missing or wrong.
    """
    file, fix = path / "compare.json", "name the folder of a comparison"
    if of_an_earlier_version(path / FILE):
        what = "an earlier version began this comparison and did not end it"
        raise ConfigError(what, str(path / FILE), "run its command again")
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be read", str(file), fix) from None
    except ValueError:
        raise ConfigError("no JSON", str(file), fix) from None
    whole = isinstance(plain, dict) and plain.keys() >= {"name", "command", "declared", "cells"}
    if not whole or plain.get("schema") != SCHEMA:
        raise ConfigError(f"no record of a comparison of schema {SCHEMA}", str(file), fix)
    header = part(Header, {key: plain[key] for key in HEADER if key in plain}, "the record", file)
    check_homes(header.homes, file)
    record = Record(
        schema=SCHEMA,
        name=header.name,
        command=header.command,
        declared=part(Declared, plain["declared"], "what is declared", file),
        cells=[run_of(row, file) for row in header.cells],
        tuning=header.tuning and tuning_of(header.tuning, file),
        homes=header.homes,
    )
    check_arms(record, file)
    return Source(path, record)


def tuning_of(rows: TuningRows, file: Path) -> Tuning:
    """What tuning did, from its part of a record."""
    searches = [part(Search, row, "a search", file) for row in rows["searches"]]
    configured, runs = (
        [run_of(row, file) for row in some] for some in (rows["configured"], rows.get("runs", []))
    )
    return Tuning(seeds=rows["seeds"], searches=searches, configured=configured, runs=runs)


def run_of(row: Any, file: Path) -> Run:
    """A run from its row in a record; ConfigError where a value is missing or wrong.

    A record may come from elsewhere: only a name that a run can have is ever opened as a folder.
    """
    name = row.get("id") if isinstance(row, dict) else row
    if not isinstance(name, str) or not ADDRESS.fullmatch(name):
        raise ConfigError(f"a run is called {str(name)[:80]!r}", str(file), AGAIN)
    run = part(Run, row, f"run {name}", file)
    if run.ended and (run.metric is None or run.higher_is_better is None):
        raise ConfigError(f"run {name} ended and has no metric", str(file), AGAIN)
    return run


def check_arms(record: Record, file: Path) -> None:
    """ConfigError for an arm of a run or of a baseline that the comparison does not declare."""
    declared = record.declared
    named = [run.arm for run in record.cells]
    for arm in (*named, *declared.baselines, *declared.baselines.values()):
        if arm not in declared.arms:
            raise ConfigError(f"the arm {arm[:80]!r} is not declared", str(file), AGAIN)


def part(kind: type[T], row: Any, name: str, file: Path) -> T:
    """A part of a record from JSON; ConfigError where a value is missing or wrong.

    Args:
        kind: dataclass of the part.
        row: of JSON.
        name: of the part, for messages.
        file: of the record, for messages.
    """
    try:
        return typed(kind, row)
    except ValueError as error:
        raise ConfigError(f"{name} {error}", str(file), AGAIN) from None


def check_homes(homes: Sequence[str], file: Path) -> None:
    """ConfigError where a folder that should hold runs is there and holds no comparison."""
    for home in homes:
        path = file.parent / home
        if path.exists() and not (path / "compare.json").is_file():
            raise ConfigError(f"{home[:80]!r} holds no comparison", str(file), AGAIN)
