"""Tables as CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.errors import shown

FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # beginnings of text that spreadsheets calculate


def spreadsheet(rows: Sequence[Mapping[str, Any]]) -> str:
    """The text of a CSV file with a header; text that a spreadsheet would calculate is quoted.

    >>> spreadsheet([{"image": "=1+1.png", "label": 3}])
    "image,label\\r\\n'=1+1.png,3\\r\\n"
    """
    keys = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(map(harmless, keys))
    writer.writerows([harmless(row.get(key)) for key in keys] for row in rows)
    return out.getvalue()


def harmless(value: Any) -> Any:
    """A value as one line of text that no spreadsheet takes for a formula, or as it is."""
    if isinstance(value, dict):
        value = ", ".join(f"{key}={v}" for key, v in value.items())
    if not isinstance(value, str):
        return value
    return f"'{shown(value)}" if value.startswith(FORMULAS) else shown(value)
