"""The report for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.compare.analysis.record import Record
from zoo.compare.report import plan_words, tables
from zoo.compare.report.sentences import on_the_plan, sentences
from zoo.errors import cut, shown

HEAD = ("place", "metric", "arm", "baseline", "gap (95 %)", "verdict")
WIDEST = 80  # characters of a cell


def terminal(record: Record, path: Path) -> str:
    """What no plan foresaw, gaps in columns, a sentence for each family, where the report lies.

    Args:
        record: of the comparison.
        path: its folder.
    """
    rows = [
        [cut(" ".join(text.split()), WIDEST) for text in row[: len(HEAD)]]
        for row in tables.gaps(record).rows
    ]
    first = on_the_plan(record)
    lines = [*first, *([""] if first else []), *columns([HEAD, *rows]), "", *sentences(record)]
    if record.noise:
        floors = plan_words.noise(record)
        lines += ["", floors.title, *columns([floors.columns, *map(texts, floors.rows)]), ""]
    lines.append(f"report: {path / 'report.html'}")
    return "\n".join(map(shown, lines))


def texts(row: Sequence[object]) -> list[str]:
    """The cells of a row as text."""
    return [str(cell) for cell in row]


def columns(rows: list[tuple[str, ...] | list[str]]) -> list[str]:
    """Rows as lines in which the cells of a column stand under each other.

    >>> columns([["a", "bcd"], ["ef", "g"]])
    ['a   bcd', 'ef  g']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(line).rstrip() for line in cells]
