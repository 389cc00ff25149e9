"""How gaps change with depth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.aggregate import contrasts_of, families
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.signs import Test, fixed_p, median_interval
from zoo.compare.analysis.statistics import Interval
from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.analysis.verdict import corrected, slope_verdict


@dataclass(kw_only=True)
class Slope:
    """How the gap of an arm grows with depth in one family of places.

    Args:
        family: title of the places without the depth.
        arm: name of the arm.
        baseline: name of the arm that it is compared with.
        depths: of the places.
        slope: median over pairs of what a doubling of the depth adds to the gap.
        delta: the smallest slope that matters: it adds the smallest difference over all depths.
        p: that the gap rises, or falls, in no more than half of all pairs.
        beyond_p: that it does so by more than delta in no more than half of them.
        each: slope of each pair.
        holm_p: `beyond_p` after Holm's correction.
        ahead_holm_p: `p` after what that correction leaves of it.
        verdict: what may be said of the growth.
        needed: number of pairs that a verdict needs.
        exploratory: whether no plan foresaw it.
    """

    family: str
    arm: str
    baseline: str
    depths: list[Any]
    slope: Interval
    delta: float
    p: float
    beyond_p: float
    each: list[float]
    holm_p: float = 1.0
    ahead_holm_p: float = 1.0
    verdict: str = ""
    needed: int = 0
    exploratory: bool = False


def growth_of_gaps(
    places: Sequence[PlaceSummary], baselines: Mapping[str, str], test: Test = fixed_p
) -> list[Slope]:
    """How the gap of each arm grows with log2 of depth, from the pairs that ran at all depths.

    Arms with fewer than two depths in a family, or with a blocked verdict there, are left out.
    Slopes are corrected for each other. A change with depth is only said of a gap that a verdict
    claims at the shallowest or at the deepest place: where there is no gap at all, nothing false is
    then said of slopes that is not said of gaps, and both together err in 5 %.

    Args:
        places: of the comparison.
        baselines: for each other arm the one that it is compared with.
        test: of the slopes.
    """
    slopes: list[Slope] = []
    evidence: list[Evidence] = []
    ends: list[tuple[Contrast, Contrast]] = []  # at the shallowest and at the deepest place
    groups = families(places)
    for (family, members), arm in itertools.product(groups, baselines):
        entries = [(place.depth, c) for place, c in contrasts_of(members) if c.arm == arm]
        depths, contrasts = [depth for depth, _ in entries], [c for _, c in entries]
        known = all(map(has_depth, depths)) and all(map(usable, contrasts))
        if len(set(depths)) < 2 or not known:
            continue
        each = slopes_of_pairs(contrasts, depths)
        if each:
            delta = contrasts[-1].delta / math.log2(max(depths) / min(depths))
            waiting = max(c.waiting for c in contrasts)
            e = Evidence(
                arm, baselines[arm], each, len(each), delta=delta, test=test, waiting=waiting
            )
            evidence.append(e)
            ends.append((contrasts[0], contrasts[-1]))
            slopes.append(
                Slope(
                    family=family,
                    arm=arm,
                    baseline=baselines[arm],
                    depths=depths,
                    slope=median_interval(each, test),
                    delta=delta,
                    p=e.ahead_p,
                    beyond_p=e.beyond_p,
                    each=each,
                )
            )
    for slope, e, p, both in zip(slopes, evidence, corrected(evidence), ends, strict=True):
        slope.holm_p, slope.ahead_holm_p, slope.needed = p.beyond, p.ahead, p.needed
        slope.verdict = slope_verdict(e, p, *(contrast.leads for contrast in both))
    return slopes


def has_depth(depth: Any) -> bool:
    """Whether a depth is a number that has a logarithm."""
    return isinstance(depth, (int, float)) and depth > 0


def usable(contrast: Contrast) -> bool:
    """Whether a contrast has pairs that may be compared."""
    return bool(contrast.pairs) and not contrast.verdict.startswith("blocked")


def slopes_of_pairs(contrasts: Sequence[Contrast], depths: Sequence[float]) -> list[float]:
    """The slope of each pair that ran at all depths."""
    pairs = sorted(set.intersection(*(set(c.seeds) for c in contrasts)))
    gaps = [[c.differences[c.seeds.index(pair)] for c in contrasts] for pair in pairs]
    return [float(slope) for slope in stats.slopes(gaps, depths)] if gaps else []
