"""Verdicts on the differences of pairs, and the numbers behind them.

Up to 3 pairs tell a direction, 4 to 7 an interval, 8 and more a verdict: that is the smallest
number whose exact p passes Holm's correction over five hypotheses, one for each task; more of them
want more pairs. A verdict of a difference wants both the interval and the exact p. Where a run
diverged, or one difference lies far from the others, Student's interval is not trusted and the
exact test decides alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.compare.analysis import statistics as stats

DIRECTION, CLAIM = 3, 8  # pairs: up to the first no interval is shown, before the second no verdict
MISSING = 0.1  # share of missing pairs that blocks a verdict
ALPHA = 0.05


def needed(hypotheses: int) -> int:
    """The number of pairs that a verdict needs: with fewer no p can pass Holm's correction.

    >>> needed(1), needed(5), needed(10)
    (8, 8, 9)
    """
    return max(CLAIM, math.ceil(1 + math.log2(hypotheses / ALPHA)))


def estimate(differences: Sequence[float]) -> stats.Interval:
    """The mean of differences, with Student's interval where the pairs are enough to show one."""
    interval = stats.t_interval(differences)
    few = len(differences) <= DIRECTION
    return stats.Interval(interval.value, None, None) if few else interval


@dataclass
class Evidence:
    """What the verdict on an arm and its baseline rests on.

    Args:
        differences: score of the arm less that of the baseline, of each pair of which both runs
            ended; positive: the arm is better.
        launched: number of pairs that were begun.
        diverged: number of runs of both arms that diverged and count as chance.
        unequal: why the arms may not be compared pair by pair; empty where they may.
        delta: the smallest difference that matters.
    """

    differences: Sequence[float]
    launched: int
    diverged: int = 0
    unequal: str = ""
    delta: float = 0.0

    @property
    def exact_only(self) -> bool:
        """Whether a divergence or an outlier rules out Student's interval."""
        return self.diverged > 0 or stats.has_outlier(self.differences, self.delta)

    @property
    def beyond(self) -> bool:
        """Whether the exact test shows a mean beyond the smallest difference that matters."""
        d = np.asarray(self.differences, float)
        nearer = d - np.sign(d.mean()) * self.delta
        return bool(nearer.mean() * d.mean() > 0 and stats.sign_flip_p(nearer) <= ALPHA)

    def numbers(self) -> dict[str, Any]:
        """All estimates, by the names of the fields of a `Contrast`."""
        d = list(self.differences)
        if not d:
            return {"pairs": 0, "p": 1.0}
        return {
            "pairs": len(d),
            "differences": d,
            "gap": estimate(d),
            "p": stats.sign_flip_p(d),
            "better": stats.probability_better(d),
            "equivalence_p": stats.equivalence_p(d, self.delta),
            "pairs_needed": stats.pairs_needed(d, self.delta),
            "exact_only": self.exact_only,
            "delta": self.delta,
        }

    def blocked(self) -> str:
        """Why there is no verdict; empty where there is one."""
        if self.unequal:
            return self.unequal
        missing = self.launched - len(self.differences)
        if not self.differences:
            return "no pair has ended"
        return f"{missing} of {self.launched} pairs are missing" if self.too_few else ""

    @property
    def too_few(self) -> bool:
        """Whether more pairs are missing than a verdict allows."""
        return self.launched - len(self.differences) > MISSING * self.launched


def verdict(
    evidence: Evidence, arm: str, baseline: str, adjusted: float, hypotheses: int = 1
) -> str:
    """What may be said of the difference between an arm and its baseline.

    Args:
        evidence: of their pairs.
        arm: name of the arm.
        baseline: name of the baseline.
        adjusted: exact p after Holm's correction.
        hypotheses: number of those that are corrected together.
    """
    d = evidence.differences
    if reason := evidence.blocked():
        return f"blocked: {reason}"
    n, gap = len(d), stats.t_interval(d)
    ahead = arm if gap.value > 0 else baseline
    wins = sum(x > 0 for x in d) if gap.value > 0 else sum(x < 0 for x in d)
    if not any(d):
        every = evidence.diverged >= 2 * n
        return "blocked: every run diverged" if every else "no difference"
    enough = needed(hypotheses)
    if n < enough:
        if 2 * wins <= n:
            return f"no direction: {ahead} ahead on average, in {wins} of {n} pairs"
        kind = "direction only" if n <= DIRECTION else f"no verdict below {enough} pairs"
        return f"{kind}: {ahead} ahead in {wins} of {n}"
    if evidence.exact_only:
        if adjusted <= ALPHA and evidence.beyond:
            return f"{ahead} better, by the exact test"
        if adjusted <= ALPHA:
            return (
                f"inconclusive: {ahead} ahead, but not shown to be by more than {evidence.delta:g}"
            )
        return "inconclusive: an outlier or a divergence, and the exact test does not decide"
    assert gap.low is not None
    assert gap.high is not None
    if gap.low > evidence.delta or gap.high < -evidence.delta:
        if adjusted <= ALPHA:
            return f"{ahead} better"
        return f"inconclusive: {ahead} ahead, but not by the exact test"
    if evidence.delta and stats.equivalence_p(d, evidence.delta) < ALPHA:
        return f"equivalent within {evidence.delta:g}"
    pairs = stats.pairs_needed(d, evidence.delta)
    return f"inconclusive: about {pairs} pairs needed" if pairs else "inconclusive"


def slope_verdict(slopes: Sequence[float], adjusted: float, hypotheses: int = 1) -> str:
    """What may be said of the growth of a gap with depth, the primary hypothesis.

    Args:
        slopes: of each pair's gap over log2 of depth.
        adjusted: exact p after Holm's correction.
        hypotheses: number of those that are corrected together.
    """
    n, gap = len(slopes), stats.t_interval(slopes)
    if not any(slopes):
        return "no growth in any pair"
    grows = "grows" if gap.value > 0 else "shrinks"
    same = sum((x > 0) == (gap.value > 0) for x in slopes)
    enough = needed(hypotheses)
    if n < enough and 2 * same <= n:
        return f"no direction: it {grows} on average, in {same} of {n} pairs"
    if n <= DIRECTION:
        return f"direction only: it {grows} in {same} of {n}"
    if n < enough:
        return f"no verdict below {enough} pairs: it {grows} in {same} of {n}"
    return f"it {grows} with depth" if adjusted <= ALPHA else "no growth is shown"
