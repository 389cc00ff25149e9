"""Rows of papers beside the runs: declared with the comparison, drawn as thin grey lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.compare.analysis.record import Place, Record
from zoo.errors import ConfigError

Published = dict[str, dict[str, dict[str, float]]]  # task, name of the row, score at each depth


@dataclass(frozen=True)
class Line:
    """Scores of a paper.

    Args:
        name: of the net and its paper.
        depths: in rising order.
        values: the score at each.
    """

    name: str
    depths: list[int]
    values: list[float]

    @property
    def places(self) -> list[float]:
        """Where the depths stand."""
        return [math.log2(depth) for depth in self.depths]


def checked(published: dict[str, dict[str, Any]]) -> Published:
    """The same with text for keys, as JSON has it; ConfigError where a score is no number."""
    found: Published = {}
    for task, rows in published.items():
        for name, row in rows.items():
            own = found.setdefault(task, {}).setdefault(name, {})
            for depth, value in sorted(row.items()):
                if not (type(depth) is int and depth > 0 and type(value) in (int, float)):
                    where = f"published.{task}.{name}"
                    raise ConfigError(f"{depth}: {value} is refused", where, "give DEPTH: SCORE")
                own[str(depth)] = float(value)
    return found


def lines(record: Record, places: Sequence[Place]) -> Iterator[Line]:
    """What papers published for the task and the depths of these places."""
    shown = [place.depth for place in places]
    rows = record.declared.published.get(places[0].task, {})
    if all(isinstance(depth, int) for depth in shown):
        for name, row in rows.items():
            known = {int(depth): value for depth, value in row.items()}
            depths = [depth for depth in known if min(shown) <= depth <= max(shown)]
            if depths:
                yield Line(name, depths, [known[depth] for depth in depths])
