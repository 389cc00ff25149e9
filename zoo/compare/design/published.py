"""Scores of papers that a comparison declares."""

from __future__ import annotations

from typing import Any

from zoo.errors import ConfigError

Published = dict[str, dict[str, dict[str, float]]]  # task, name of the row, score at each depth


def with_text_keys(published: dict[str, dict[str, Any]]) -> Published:
    """The same with text for keys, as JSON has it; ConfigError where a score is no number."""
    checked: Published = {}
    for task, rows in published.items():
        for name, row in rows.items():
            scores = checked.setdefault(task, {}).setdefault(name, {})
            for depth, value in sorted(row.items()):
                if not (type(depth) is int and depth > 0 and type(value) in (int, float)):
                    where = f"published.{task}.{name}"
                    raise ConfigError(f"{depth}: {value} is refused", where, "give DEPTH: SCORE")
                scores[str(depth)] = float(value)
    return checked
