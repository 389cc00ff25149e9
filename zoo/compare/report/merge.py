"""The verb `report`: all reports again from the runs of one comparison, or of several in one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.compare.analysis.aggregate import growth, overall
from zoo.compare.analysis.analyse import places_of
from zoo.compare.analysis.mixing import mechanisms
from zoo.compare.analysis.record import Environment, Record
from zoo.compare.report.sources import finished, joined, read, runs_of
from zoo.compare.report.write import write_all
from zoo.errors import ConfigError, quoted
from zoo.report import Report
from zoo.run_folder import SCHEMA
from zoo.system.paths import expanded

TOGETHER = "runs/report"  # where several comparisons are reported


def assembled(record: Record, homes: Sequence[Path]) -> Record:
    """The record with all that is computed of its runs.

    Args:
        record: what is declared, and the runs.
        homes: the folders in which the runs lie.
    """
    runs, declared = record.cells, record.declared
    results = (finished(run.id, homes) or {} for run in runs)
    ran = {json.dumps([r["versions"], r["machine"]]) for r in results if r}
    places = places_of(runs, declared)
    return replace(
        record,
        environments=[Environment(*json.loads(text)) for text in sorted(ran)],
        places=places,
        slopes=growth(places, declared.baselines),
        overall=overall(runs, declared.baselines, declared.references),
        mixing=mechanisms(runs, homes),
        homes=[],
    )


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
    commands = list(dict.fromkeys(source.record.command for source in sources))
    if len(sources) > 1:
        commands.append(quoted(["python", "-m", "zoo", "report", *words]))
    homes = [home for source in sources for home in source.homes]
    whole = Record(
        schema=SCHEMA,
        name=" and ".join(dict.fromkeys(source.record.name for source in sources)),
        command=" && ".join(commands),
        declared=joined(sources),
        cells=runs_of(sources),
    )
    record = assembled(whole, homes)
    return Report(record.plain(), write_all(record, target, homes))
