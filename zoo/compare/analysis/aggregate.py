"""What holds across places: their families, and the growth of gaps with depth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.signs import Test, fixed_p, median_interval
from zoo.compare.analysis.summaries import Contrast, PlaceSummary, Slope
from zoo.compare.analysis.verdict import corrected, slope_verdict

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


def growth_of_gaps(
    places: Sequence[PlaceSummary], baselines: Mapping[str, str], test: Test = fixed_p
) -> list[Slope]:
    """How the gap of each arm grows with log2 of depth, from the pairs that ran at all depths.

    Arms with fewer than two depths in a family, or with a blocked verdict there, are left out.

    Args:
        places: of the comparison.
        baselines: for each other arm the one that it is compared with.
        test: of the slopes.
    """
    slopes: list[Slope] = []
    evidence: list[Evidence] = []
    ends: list[tuple[float, float]] = []  # median gaps at the shallowest and the deepest place
    groups = families(places)
    for (family, members), arm in itertools.product(groups, baselines):
        entries = [(place, c) for place, c in contrasts_of(members) if c.arm == arm]
        depths, contrasts = [place.depth for place, _ in entries], [c for _, c in entries]
        numbers = all(isinstance(depth, (int, float)) and depth > 0 for depth in depths)
        if not numbers or len(set(depths)) < 2 or not all(c.pairs for c in contrasts):
            continue
        if any(c.verdict.startswith("blocked") for c in contrasts):
            continue
        pairs = sorted(set.intersection(*(set(c.seeds) for c in contrasts)))
        gaps = [[c.differences[c.seeds.index(pair)] for c in contrasts] for pair in pairs]
        if gaps:
            each = [float(slope) for slope in stats.slopes(gaps, depths)]
            doublings = math.log2(max(depths) / min(depths))
            delta = contrasts[-1].delta / doublings
            waiting = max(c.waiting for c in contrasts)
            e = Evidence(
                arm, baselines[arm], each, len(each), delta=delta, test=test, waiting=waiting
            )
            evidence.append(e)
            ends.append((np.median(gaps, axis=0)[0], np.median(gaps, axis=0)[-1]))
            slopes.append(
                Slope(
                    family=family,
                    arm=arm,
                    baseline=baselines[arm],
                    depths=depths,
                    slope=median_interval(each, test),
                    delta=delta,
                    p=e.ahead_p,
                    each=each,
                )
            )
    for slope, e, p, gap in zip(slopes, evidence, corrected(evidence), ends, strict=True):
        slope.holm_p, slope.verdict = p.beyond, slope_verdict(e, p, *gap)
        slope.needed = p.needed
    return slopes
