"""Scores of papers that a comparison declares, as lines beside the runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.summaries import PlaceSummary


@dataclass(frozen=True)
class PublishedLine:
    """Scores of a paper by depth.

    Args:
        name: of the row: the net and its paper.
        depths: in rising order.
        values: score at each depth.
    """

    name: str
    depths: list[int]
    values: list[float]

    @property
    def positions(self) -> list[float]:
        """The x of each depth."""
        return [math.log2(depth) for depth in self.depths]


def published_lines(record: Record, places: Sequence[PlaceSummary]) -> Iterator[PublishedLine]:
    """The published lines of a family, each within the depths of its places.

    Args:
        record: of the comparison.
        places: of one family.
    """
    shown = [place.depth for place in places]
    rows = record.declared.published.get(places[0].task, {})
    if all(isinstance(depth, int) for depth in shown):
        for name, row in rows.items():
            known = {int(depth): value for depth, value in row.items()}
            depths = [depth for depth in known if min(shown) <= depth <= max(shown)]
            if depths:
                yield PublishedLine(name, depths, [known[depth] for depth in depths])
