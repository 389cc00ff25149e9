"""Writes the reports of a comparison, all from one record."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.compare.across import Row
from zoo.compare.curves import curves_of
from zoo.compare.figures import draw_all
from zoo.compare.markdown import markdown
from zoo.compare.page import page
from zoo.compare.terminal import terminal
from zoo.folder import write_whole

FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes text that begins so for one


def write_all(record: Row, path: Path, homes: Sequence[Path] = ()) -> str:
    """Writes every report into the folder; gives what the terminal shows.

    Args:
        record: of the comparison.
        path: the folder.
        homes: folders that hold the runs; none: the folder itself.
    """
    curves = curves_of(record["cells"], homes or [path])
    away = [
        home for home in homes if home.resolve() != path.resolve() and (home / "cells").is_dir()
    ]
    found = {"homes": [os.path.relpath(home, path) for home in away]} if away else {}
    write_whole(path / "compare.json", json.dumps(record | found, indent=1, allow_nan=False))
    write_whole(path / "cells.csv", spreadsheet(record))
    write_whole(path / "report.md", markdown(record))
    write_whole(path / "report.html", page(record, curves))
    draw_all(record, curves, path / "figures")
    return terminal(record, path)


def spreadsheet(record: Row) -> str:
    """Every run as a row; text that a spreadsheet would calculate is quoted."""
    keys = list(dict.fromkeys(key for row in record["cells"] for key in row))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(keys)
    writer.writerows([harmless(row.get(key)) for key in keys] for row in record["cells"])
    return out.getvalue()


def harmless(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula."""
    if isinstance(value, dict):
        value = ", ".join(f"{key}={v}" for key, v in value.items())
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value
