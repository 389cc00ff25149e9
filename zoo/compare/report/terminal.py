"""The report for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.compare.analysis.record import Record
from zoo.compare.report import plan_words, tables
from zoo.compare.report.sentences import headlines, warnings_first
from zoo.compare.report.title import title
from zoo.compare.report.verdict_table import Lines, verdict_table
from zoo.errors import cut, shown

COLUMNS = ("place", "metric", "arm", "baseline", "pairs", "smallest effect", "test examples", "p",
           "p (Holm)", "least p", "gap", "verdict")  # fmt: skip
WIDEST = 80  # characters of a cell


def terminal(record: Record, path: Path) -> str:
    """The title, what must be known first, the verdicts, the numbers, and where the report lies.

    Args:
        record: of the comparison.
        path: its folder.
    """
    verdicts, gaps = verdict_table(record), tables.gaps(record)
    kept = [gaps.columns.index(name) for name in COLUMNS]
    numbers = [[row[i] for i in kept] for row in gaps.rows]
    lines = [title(record), *warnings_first(record), ""]
    lines += columns([verdicts.columns, *(line for row in verdicts.rows for line in split(row))])
    lines += ["", *columns([COLUMNS, *numbers]), "", *headlines(record)]
    if record.noise:
        floors = plan_words.noise(record)
        lines += ["", floors.title, *columns([floors.columns, *floors.rows])]
    return "\n".join(map(shown, [*lines, f"report: {path / 'report.html'}"]))


def split(row: Sequence[Any]) -> list[list[str]]:
    """A row as several, of which each has one line of each cell.

    >>> split([Lines(["a", "b"]), "c"])
    [['a', 'c'], ['b', '']]
    """
    cells = [list(cell.lines) if isinstance(cell, Lines) else [cell] for cell in row]
    most = max(map(len, cells))
    return [[cell[i] if i < len(cell) else "" for cell in cells] for i in range(most)]


def columns(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Rows as lines in which the cells of a column stand under each other.

    >>> columns([["a", "bcd"], ["ef", "g"]])
    ['a   bcd', 'ef  g']
    """
    texts = [[cut(" ".join(str(cell).split()), WIDEST) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in texts)
    return ["  ".join(line).rstrip() for line in cells]
