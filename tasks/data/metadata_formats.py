"""The columns of a table of metadata, from CSV, lines of JSON or Parquet."""

from __future__ import annotations

import csv
import json
import re
from typing import Any

from tasks.data.folders import File
from tasks.data.phrases import listed, shown
from zoo.errors import DataError

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
KEY = "file_name"


def read_table(file: File) -> dict[str, list[Any]]:
    """The columns of a table; of a CSV, a column of numbers alone holds numbers, others texts.

    Errors:
        DataError: the table cannot be read or has no column `file_name`.
    """
    try:
        rows = READERS[file.name](file.path)
    except (OSError, ValueError, csv.Error) as error:
        what = f"cannot be read ({type(error).__name__}: {error})"[:200]
        raise DataError(what, shown(file.path), "save it as a table in UTF-8") from None
    names = list(dict.fromkeys(name for row in rows for name in row))
    if KEY not in names:
        what = f"no column {KEY}; there are {listed(names) or 'none'}"
        raise DataError(what, shown(file.path), f"name each row's image by {KEY}")
    columns = {name: [row.get(name) for row in rows] for name in names}
    if file.name.endswith(".csv"):
        columns = {k: v if k.endswith(KEY) else as_numbers(v) for k, v in columns.items()}
    return columns


def read_csv(path: str) -> list[dict[str, Any]]:
    """The rows of a CSV file; empty fields are None, and lines of other lengths a ValueError."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file, strict=True)
        names = next(lines, [])
        if len({*names}) != len(names):
            raise ValueError("two columns have one name")
        rows = []
        for line in lines:
            if line and len(line) != len(names):
                what = f"line {lines.line_num} has {len(line)} fields, the first one {len(names)}"
                raise ValueError(what)
            if line:
                rows.append({k: v or None for k, v in zip(names, line, strict=True)})
    return rows


def read_jsonl(path: str) -> list[dict[str, Any]]:
    """The rows of a file with an object of JSON in each line."""
    rows = []
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            row = json.loads(line) if line.strip() else {}
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no object")
            rows += [row] if row else []
    return rows


def read_parquet(path: str) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    import pyarrow.parquet

    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


READERS = dict(zip(NAMES, (read_csv, read_jsonl, read_parquet), strict=True))


def as_numbers(values: list[str | None]) -> list[Any]:
    """Texts as numbers where all of them are; one like `01` makes all of them stay texts."""
    texts = [value for value in values if value is not None]
    whole = all(re.fullmatch("-?[0-9]+", text) for text in texts)
    if whole and any(str(int(text)) != text for text in texts):
        return values
    try:
        return [v if v is None else int(v) if whole else float(v) for v in values]
    except ValueError:
        return values
