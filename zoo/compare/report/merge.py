"""The verb `report`: all reports again from the runs of one comparison, or of several in one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.compare.analysis.analyse import analysed
from zoo.compare.analysis.record import Record
from zoo.compare.report.foresee import foresee
from zoo.compare.report.join_sources import join_declared, join_runs
from zoo.compare.report.join_tuning import join_tuning
from zoo.compare.report.sources import Source, read_source
from zoo.compare.report.write import write_all
from zoo.errors import ConfigError, quoted
from zoo.report import Report
from zoo.run_folder import SCHEMA
from zoo.system.paths import expanded

JOINT = "runs/report"  # folder for the report on several comparisons


def report(words: Sequence[str]) -> Report:
    """Writes the reports of a comparison's folder again, or those of several folders as one.

    Args:
        words: of the command line: folders, and `dir=` for the folder of the reports.

    Errors:
        ConfigError: a folder or an option cannot be used, or two folders contradict each other.
    """
    named = [word for word in words if not word.startswith("dir=")]
    for word in named:
        key, equals, value = word.partition("=")
        if equals and key.isidentifier() and not Path(word).exists():
            fix = f"write report {value} without a key" if key == "from" else "leave it out"
            raise ConfigError(f"unknown option {key}", "report", fix)
    paths = [Path(expanded(word, "report")) for word in named]
    targets = [Path(expanded(w.removeprefix("dir="), w)) for w in words if w.startswith("dir=")]
    if not paths:
        raise ConfigError("no comparison is named", "report", "add its folder")
    sources = [read_source(path) for path in paths]
    target = targets[-1] if targets else paths[0] if len(paths) == 1 else Path(JOINT)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fix = "name one that can be written: dir=FOLDER"
        raise ConfigError(str(error.strerror), f"dir={target.absolute()}", fix) from None
    record = computed(sources, words)
    folders = [folder for source in sources for folder in source.folders]
    return Report(record.plain(), write_all(record, target, folders))


def computed(sources: Sequence[Source], words: Sequence[str] = ()) -> Record:
    """The record of one comparison or of several as one, computed from the runs.

    It is a look at the results, which the plan of the comparison notes.

    Args:
        sources: the folders.
        words: of the command that joins several.
    """
    commands = list(dict.fromkeys(source.record.command for source in sources))
    if len(sources) > 1:
        commands.append(quoted(["python", "-m", "zoo", "report", *words]))
    folders = [folder for source in sources for folder in source.folders]
    joint = Record(
        schema=SCHEMA,
        name=" and ".join(dict.fromkeys(source.record.name for source in sources)),
        command=" && ".join(commands),
        declared=join_declared(sources),
        cells=join_runs(sources),
        tuning=join_tuning(sources),
    )
    holding = [home for source in sources for home in source.homes or [source.path]]
    return foresee(analysed(joint, folders), list(dict.fromkeys(map(Path.resolve, holding))))
