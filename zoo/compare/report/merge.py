"""The verb `report`: all reports again from the runs of one comparison, or of several in one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.cli.report import Report
from zoo.compare.analysis.aggregate import Row
from zoo.compare.analysis.mixing import mechanisms
from zoo.compare.analysis.record import analyse, row_of
from zoo.compare.report.write import write_all
from zoo.errors import ConfigError, quoted
from zoo.run_folder import ENDED, SCHEMA, RunFolder
from zoo.system.paths import expanded

FACTS = ("place", "task", "family", "depth", "settings", "arm", "pair", "seed", "id", "recipe",
         "flops", "command")  # fmt: skip
NEEDED = {"place", "task", "family", "depth", "arm", "pair", "status"}

PLAN = "plan.json"  # what a comparison under way will do
TOGETHER = "runs/report"  # where several comparisons are reported
ADDRESS = re.compile("[0-9a-f]{20}")  # of a run
ALONE = "report these folders one by one"


@dataclass
class Source:
    """A comparison's folder and its record, or its plan while it is under way."""

    path: Path
    record: Row

    @property
    def homes(self) -> list[Path]:
        """The folders that may hold its runs: its own, and those that it was joined from."""
        return [self.path, *(self.path / home for home in self.record.get("homes", []))]


def assemble(head: Row, rows: Sequence[Row], homes: Sequence[Path]) -> Row:
    """The record of a comparison.

    Args:
        head: `schema`; `name` of its declaration; `command` that repeats it; `declared`: arms,
            baselines, places, pairs, effects, references, published
            scores and whether it is null.
        rows: of its cells.
        homes: the folders in which the cells lie.
    """
    results = (finished(row["id"], homes) or {} for row in rows)
    ran = {json.dumps([r["versions"], r["machine"]]) for r in results if r}
    declared = head["declared"]
    found = analyse(rows, declared)
    return {
        **head,
        "environments": [
            {"versions": versions, "machine": machine}
            for versions, machine in map(json.loads, sorted(ran))
        ],
        **found,
        "mixing": mechanisms(rows, homes),
        "cells": list(rows),
    }


def finished(cell: str, homes: Sequence[Path]) -> Row | None:
    """The result of a run, from the first folder that has one."""
    results = (RunFolder(home / "cells" / cell).result() for home in homes)
    return next((result for result in results if result.get("status") in ENDED), None)


def report(words: Sequence[str]) -> Report:
    """Rebuilds the reports of some folders."""
    named = [word for word in words if not word.startswith("dir=")]
    for word in named:
        key, equals, value = word.partition("=")
        if equals and key.isidentifier() and not Path(word).exists():
            fix = f"write report {value} without a key" if key == "from" else "leave it out"
            raise ConfigError(f"unknown option {key}", "report", fix)
    paths = [Path(expanded(word, "report")) for word in named]
    given = [Path(expanded(w.removeprefix("dir="), w)) for w in words if w.startswith("dir=")]
    if not paths:
        raise ConfigError("no comparison is named", "report", "add its folder")
    sources = [read(path) for path in paths]
    target = given[-1] if given else paths[0] if len(paths) == 1 else Path(TOGETHER)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fix = "name one that can be written: dir=FOLDER"
        raise ConfigError(str(error.strerror), f"dir={target.absolute()}", fix) from None
    declared = joined(sources)
    rows = rows_of(sources)
    names = list(dict.fromkeys(source.record["name"] for source in sources))
    commands = list(dict.fromkeys(source.record["command"] for source in sources))
    if len(sources) > 1:
        commands.append(quoted(["python", "-m", "zoo", "report", *words]))
    homes = [home for source in sources for home in source.homes]
    head = {
        "schema": SCHEMA,
        "name": " and ".join(names),
        "command": " && ".join(commands),
        "declared": declared,
    }
    record = assemble(head, rows, homes)
    return Report(record, write_all(record, target, homes))


def read(path: Path) -> Source:
    """The record in a folder."""
    file = path / PLAN if (path / PLAN).is_file() else path / "compare.json"
    fix = "name the folder of a comparison"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be read", str(file), fix) from None
    except ValueError:
        raise ConfigError("no JSON", str(file), fix) from None
    whole = isinstance(record, dict) and record.keys() >= {"name", "command", "declared", "cells"}
    if not whole or record.get("schema") != SCHEMA:
        raise ConfigError(f"no record of a comparison of schema {SCHEMA}", str(file), fix)
    source = Source(path, record)
    refuse_strange(source, file)
    return source


def refuse_strange(source: Source, file: Path) -> None:
    """ConfigError for a record whose runs are no addresses or lie outside of comparisons.

    A record may come from elsewhere: what it names is opened only where it can be a run.
    """
    fix = "write the report again from the folders of the runs"
    cells, homes = source.record["cells"], source.record.get("homes", [])
    for row in cells if isinstance(cells, list) else [cells]:
        name = row.get("id") if isinstance(row, dict) else row
        if not isinstance(name, str) or not ADDRESS.fullmatch(name):
            raise ConfigError(f"a run is called {str(name)[:80]!r}", str(file), fix)
        if lost := NEEDED - row.keys():
            raise ConfigError(f"run {name} has no {', '.join(sorted(lost))}", str(file), fix)
    for home in homes if isinstance(homes, list) else [homes]:
        place = source.path / home if isinstance(home, str) else None
        known = place and any((place / name).is_file() for name in (PLAN, "compare.json"))
        if place is None or (place.exists() and not known):
            raise ConfigError(f"{str(home)[:80]!r} holds no comparison", str(file), fix)


def joined(sources: Sequence[Source]) -> Row:
    """What all folders declare, as one; ConfigError where two disagree."""
    whole: dict[str, Any] = {
        "arms": {}, "baselines": {}, "places": [], "pairs": [], "effects": {}, "references": {},
        "published": {}, "null": sources[0].record["declared"]["null"],
    }  # fmt: skip
    for source in sources:
        declared = source.record["declared"]
        for key in ("arms", "baselines", "effects", "references", "published"):
            for name, value in declared.get(key, {}).items():
                if whole[key].setdefault(name, value) != value:
                    what = f"{key} of {name} are declared as {whole[key][name]} and {value}"
                    raise ConfigError(what, str(source.path), ALONE)
        if declared["null"] != whole["null"]:
            what = "a null comparison does not join another"
            raise ConfigError(what, str(source.path), ALONE)
        for key in ("places", "pairs"):
            whole[key] += [entry for entry in declared[key] if entry not in whole[key]]
    both = sorted(set(whole["baselines"].values()) & whole["baselines"].keys())
    if both:
        what = f"{both[0]} is a baseline in one folder and has one in another"
        raise ConfigError(what, str(sources[-1].path), ALONE)
    return whole


def rows_of(sources: Sequence[Source]) -> list[Row]:
    """The cells of all folders, from their results; a row whose run is gone stays as it was."""
    found: dict[tuple[str, str, int], Row] = {}
    recipes: dict[tuple[str, str], str | None] = {}
    for source in sources:
        for row in source.record["cells"]:
            key = (row["place"], row["arm"], row["pair"])
            fresh = renewed(row, source.homes)
            known = found.get(key, fresh)
            ended = known["status"] in ENDED and fresh["status"] in ENDED
            recipe = recipes.setdefault((row["family"], row["arm"]), fresh.get("recipe"))
            what = ""
            if recipe != fresh.get("recipe"):
                what = "runs of this arm have other settings in another folder"
            if known["id"] != fresh["id"]:
                what = "this run has other settings in another folder"
            elif ended and known["value"] != fresh["value"]:
                what = f"this run has the values {known['value']} and {fresh['value']}"
            if what:
                where = f"{source.path}: {row['place']}, {row['arm']}, pair {row['pair']}"
                raise ConfigError(what, where, ALONE)
            found[key] = known if known["status"] in ENDED else fresh
    order = list(dict.fromkeys(row["place"] for row in found.values()))
    return sorted(found.values(), key=lambda row: order.index(row["place"]))


def renewed(row: Row, homes: Sequence[Path]) -> Row:
    """A row from the result of its run, if that is there."""
    result = finished(row["id"], homes)
    if result is None:
        return row
    return row_of(result, {key: row[key] for key in FACTS if key in row})
