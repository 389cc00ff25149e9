"""Rows of papers beside the runs: declared with the comparison, drawn as thin grey lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zoo.compare.analysis.record import Place, Record


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
