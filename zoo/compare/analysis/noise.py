"""How far an arm differs from itself under other seeds, and what gap that leaves to be seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from zoo.compare.analysis.score_shares import Shares
from zoo.compare.analysis.signs import POWER, Test, pairs_for
from zoo.compare.analysis.statistics import LEVEL, Interval
from zoo.compare.analysis.summaries import PlaceSummary
from zoo.compare.analysis.verdict import needed

BEYOND = (1, 2)  # smallest effects by which a gap exceeds the smallest effect


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """The noise of pairs at a place.

    Args:
        place: its title.
        pairs: of the arm and itself.
        sd: standard deviation of their differences, with its interval for normal ones.
        delta: the smallest difference that matters.
        needs: pairs that show, with a power of 80 %, a gap that exceeds delta by one and by two
            deltas: at the deviation, and at both ends of its interval; None over 1000 pairs.
        shares: of the variance of a run's score; None where pairs have no data of their own.
    """

    place: str
    pairs: int
    sd: Interval
    delta: float
    needs: list[list[int | None]]
    shares: Shares | None = None


def noise_floors(
    places: Sequence[PlaceSummary],
    hypotheses: int,
    test: Test,
    shares: Mapping[str, Shares | None],
) -> list[NoiseFloor]:
    """The noise at every place that has two pairs of an arm and itself.

    Args:
        places: of a comparison of an arm with itself.
        hypotheses: number of those that are corrected for each other.
        test: of the pairs.
        shares: of the variance of a run's score, by place.
    """
    floors = []
    for place in places:
        (contrast,) = place.contrasts
        if contrast.pairs < 2:
            continue
        sd, delta = deviation(contrast.differences), contrast.delta
        each = [sd.value, sd.low or 0.0, sd.high or 0.0]
        needs = [
            [pairs_to_show(k * delta / s if s else math.inf, hypotheses, test) for s in each]
            for k in (BEYOND if delta else ())
        ]
        floors.append(
            NoiseFloor(
                place=place.title,
                pairs=contrast.pairs,
                sd=sd,
                delta=delta,
                needs=needs,
                shares=shares[place.title],
            )
        )
    return floors


def deviation(differences: Sequence[float]) -> Interval:
    """The standard deviation of some differences, with its interval of 95 % for normal ones."""
    sd, freedom = float(np.std(differences, ddof=1)), len(differences) - 1
    tails = (1 + LEVEL) / 2, (1 - LEVEL) / 2
    low, high = (sd * math.sqrt(freedom / stats.chi2.ppf(tail, freedom)) for tail in tails)
    return Interval(sd, low, high)


def pairs_to_show(effect: float, hypotheses: int, test: Test) -> int | None:
    """The pairs that show a gap with a power of 80 %.

    Args:
        effect: its excess over the smallest effect, in standard deviations.
        hypotheses: number of those that are corrected for each other.
        test: of the pairs.
    """
    pairs = pairs_for(POWER, hypotheses, effect, test)
    return pairs and max(pairs, needed(hypotheses, test))
