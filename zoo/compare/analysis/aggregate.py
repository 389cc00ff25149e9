"""The places of a comparison by family, and all their contrasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from zoo.compare.analysis.summaries import Contrast, PlaceSummary

T = TypeVar("T")
K = TypeVar("K")


def grouped(items: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Each key with the items that have it, in order of appearance.

    >>> grouped([1, 2, 3], lambda n: n % 2)
    [(1, [1, 3]), (0, [2])]
    """
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def families(places: Iterable[PlaceSummary]) -> list[tuple[str, list[PlaceSummary]]]:
    """Each family's title with its places, from the shallowest to the deepest."""
    groups = grouped(places, lambda place: place.family)
    for _, members in groups:
        if all(isinstance(place.depth, (int, float)) for place in members):
            members.sort(key=lambda place: place.depth)
    return groups


def contrasts_of(places: Iterable[PlaceSummary]) -> list[tuple[PlaceSummary, Contrast]]:
    """Every place with each of its contrasts."""
    return [(place, contrast) for place in places for contrast in place.contrasts]


def primary_of(places: Iterable[PlaceSummary]) -> list[tuple[PlaceSummary, Contrast]]:
    """The deepest place of every family with each of its contrasts: the primary hypotheses."""
    return contrasts_of(members[-1] for _, members in families(places))
