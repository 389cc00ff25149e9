"""Writes the reports of a comparison, all from one record."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.compare.analysis.curves import curves_of
from zoo.compare.analysis.record import Record
from zoo.compare.report.figures import draw_all
from zoo.compare.report.markdown import markdown
from zoo.compare.report.page import page
from zoo.compare.report.terminal import terminal
from zoo.system.atomic import atomic_write
from zoo.system.spreadsheet import spreadsheet


def write_all(record: Record, path: Path, homes: Sequence[Path] = ()) -> str:
    """Writes every report into the folder; gives what the terminal shows.

    Args:
        record: of the comparison.
        path: the folder.
        homes: folders that hold the runs; none: the folder itself.
    """
    curves = curves_of(record.cells, homes or [path])
    away = [
        home for home in homes if home.resolve() != path.resolve() and (home / "cells").is_dir()
    ]
    plain = replace(record, homes=[os.path.relpath(home, path) for home in away]).plain()
    atomic_write(path / "compare.json", json.dumps(plain, indent=1, allow_nan=False))
    flat = [{key: row[key] for key in row if key != "events"} for row in plain["cells"]]
    atomic_write(path / "cells.csv", spreadsheet(flat))
    atomic_write(path / "report.md", markdown(record))
    atomic_write(path / "report.html", page(record, curves))
    draw_all(record, curves, path / "figures")
    return terminal(record, path)
