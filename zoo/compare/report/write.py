"""The reports of a comparison as files, all from one record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.compare.analysis.curves import curves_of
from zoo.compare.analysis.record import Record
from zoo.compare.report.figures import draw_all
from zoo.compare.report.markdown import markdown
from zoo.compare.report.page import page
from zoo.compare.report.papers import gaps_csv, latex
from zoo.compare.report.terminal import terminal
from zoo.system.atomic import atomic_write
from zoo.system.spreadsheet import spreadsheet


def write_all(record: Record, path: Path, folders: Sequence[Path] = ()) -> str:
    """Writes every report into a folder and returns the one for the terminal.

    Args:
        record: of the comparison.
        path: of the folder.
        folders: of comparisons, which hold the runs; none: the folder itself.
    """
    curves = curves_of(record.cells, folders or [path])
    homes = [
        os.path.relpath(folder, path)
        for folder in folders
        if folder.resolve() != path.resolve() and (folder / "cells").is_dir()
    ]
    write_record(replace(record, homes=homes), path)
    atomic_write(path / "cells.csv", spreadsheet([*rows_of(record)]))
    atomic_write(path / "report.md", markdown(record))
    atomic_write(path / "report.html", page(record, curves))
    (path / "tables").mkdir(exist_ok=True)
    atomic_write(path / "tables" / "gaps.tex", latex(record))
    atomic_write(path / "tables" / "gaps.csv", gaps_csv(record))
    draw_all(record, curves, path / "figures")
    return terminal(record, path)


def write_record(record: Record, path: Path) -> None:
    """Writes a record alone into a folder."""
    atomic_write(path / "compare.json", json.dumps(record.plain(), indent=1, allow_nan=False))


def rows_of(record: Record) -> Iterator[dict[str, Any]]:
    """Every run as a row of a spreadsheet, after what it is for."""
    for phase, runs in record.phases.items():
        for run in runs:
            yield {"phase": phase, **{k: v for k, v in run.plain().items() if k != "events"}}
