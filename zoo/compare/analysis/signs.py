"""Exact inference on the median of paired differences, from how many of them lie on which side.

Nothing is assumed of their distribution but that the pairs are independent: it may be skewed, have
heavy tails, two peaks or rare failures. A mean has no such test: among eight pairs of which one in
ten fails, 43 % show no failure at all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from zoo.compare.analysis.statistics import LEVEL, Interval

ALPHA = 0.05
POWER = 0.8  # that enough pairs have, one standard deviation beyond the smallest effect
MOST = 1000  # pairs up to which a number for some power is looked for
Flags = NDArray[np.bool_]
Test = Callable[[Flags, Flags], float]


def fixed_p(one: Flags, other: Flags) -> float:
    """The two-sided p that neither of two events has a rate above a half, of a fixed sample.

    Args:
        one: `[pairs]`, whether the first event happened.
        other: `[pairs]`, whether the second one did, which excludes the first.
    """
    most = max(one.sum(), other.sum())
    return min(1.0, 2 * tail(int(most), len(one)))


@cache
def tail(hits: int, of: int) -> float:
    """The probability of so many hits or more, where hits are as likely as misses."""
    return float(stats.binom.sf(hits - 1, of, 0.5))


def anytime_p(one: Flags, other: Flags) -> float:
    """The same p, valid however often one looks and whenever one stops (Ville 1939).

    It is one over the largest wealth, so far, of bets on both events.
    """
    return min(1.0, 1 / max(wealth(one, other), default=1.0))


def wealth(one: Flags, other: Flags) -> list[float]:
    """What a stake of 1 has become after each pair, half of it being bet on either event."""
    counts = zip(accumulate(map(int, one)), accumulate(map(int, other)), strict=True)
    return [(bet(a, n) + bet(b, n)) / 2 for n, (a, b) in enumerate(counts, 1)]


TESTS: dict[str, Test] = {"fixed": fixed_p, "auto": anytime_p}  # by how a comparison ends


@cache
def bet(hits: int, of: int) -> float:
    """What a stake of 1 has become that is bet on rates above a half, one pair after the other.

    Each rate r turns it into r / (1/2) by a hit and (1 - r) / (1/2) by a miss, so that nothing is
    won on average where hits are no more likely than misses; rates are mixed by the prior of
    Jeffreys (Krichevsky and Trofimov 1981), cut to those above a half.
    """
    a, b = hits + 0.5, of - hits + 0.5
    above = special.betaincc(a, b, 0.5)
    return float(2 * above * np.exp(of * np.log(2) + special.betaln(a, b) - np.log(np.pi)))


def least_p(pairs: int, test: Test = fixed_p) -> float:
    """The smallest p that pairs can have: they all lie on one side.

    >>> least_p(3), least_p(8)
    (0.25, 0.0078125)
    """
    return test(np.ones(pairs, bool), np.zeros(pairs, bool)) if pairs else 1.0


def difference_p(differences: ArrayLike, delta: float = 0.0, test: Test = fixed_p) -> float:
    """The p that the median is not beyond delta, on either side; ties with delta are within."""
    d = np.asarray(differences, float)
    return test(d > delta, d < -delta)


def side(differences: ArrayLike, delta: float = 0.0, test: Test = fixed_p) -> int:
    """The side that `difference_p` is about: 1 above delta, -1 below -delta, 0 neither.

    It is the one with more pairs: all of them, or by `anytime_p` those at the look of the largest
    wealth, whatever came later.
    """
    d = np.asarray(differences, float)
    up, down = d > delta, d < -delta
    if test is anytime_p and len(d):
        look = int(np.argmax(wealth(up, down))) + 1
        up, down = up[:look], down[:look]
    return int(np.sign(int(up.sum()) - int(down.sum())))


def equivalence_p(differences: ArrayLike, delta: float, test: Test = fixed_p) -> float:
    """The larger p of two tests, that the median is not below delta and not above -delta."""
    d = np.asarray(differences, float)
    nothing = np.zeros(len(d), bool)
    return max(test(d < delta, nothing), test(d > -delta, nothing))


def median_interval(differences: ArrayLike, test: Test = fixed_p) -> Interval:
    """The median with the shortest interval between ordered differences that covers 95 % or more.

    Five pairs give their whole range, which covers 94 %; fewer give none. By `anytime_p` the
    intervals of all looks together cover 95 %, and there is one from seven pairs on.
    """
    d = np.sort(np.asarray(differences, float))
    n, centre = len(d), float(np.median(d))
    if test is anytime_p:
        return anytime_interval(np.asarray(differences, float))
    if n < 5:
        return Interval(centre, None, None)
    at = max(cut(n), 1)
    return Interval(centre, float(d[at - 1]), float(d[n - at]))


@cache
def cut(n: int) -> int:
    """The number of ordered differences outside of an interval, at each end, with its first one."""
    return int(stats.binom.ppf((1 - LEVEL) / 2, n, 0.5))


def anytime_interval(differences: NDArray[np.float64]) -> Interval:
    """The median with the differences between which it lies at every look, in 95 % of comparisons.

    Early looks may contradict later ones so much that nothing is between them; then there is none.
    """
    d, level = differences, 1 - LEVEL
    inside = [x for x in np.unique(d) if anytime_p(d > x, d < x) > level]
    ends = (float(inside[0]), float(inside[-1])) if inside else (None, None)
    known = least_p(len(d), anytime_p) <= level
    return Interval(float(np.median(d)), *(ends if known else (None, None)))


def power(pairs: int, hypotheses: int = 1, effect: float = 1.0, test: Test = fixed_p) -> float:
    """How likely normal differences show a median beyond delta, by the first step of Holm.

    Args:
        pairs: that are run, or at which `anytime_p` gives up.
        hypotheses: that are corrected together.
        effect: mean of the differences beyond delta, in their standard deviations.
        test: `fixed_p` or `anytime_p`.
    """
    rate, level = float(stats.norm.cdf(effect)), ALPHA / hypotheses
    if test is fixed_p:
        enough = int(stats.binom.isf(level / 2, pairs, 0.5)) + 1
        return float(stats.binom.sf(enough - 1, pairs, rate))
    undecided = np.ones(1)  # probability of each number of hits, of those who still go on
    for n in range(1, pairs + 1):
        undecided = np.convolve(undecided, [1 - rate, rate])
        stakes = [(bet(hits, n) + bet(n - hits, n)) / 2 for hits in range(n + 1)]
        undecided[np.asarray(stakes) >= 1 / level] = 0
    return 1 - float(undecided.sum())


def pairs_for(
    wanted: float, hypotheses: int = 1, effect: float = 1.0, test: Test = fixed_p
) -> int | None:
    """The fewest pairs that have some power; None where 1000 have not.

    >>> pairs_for(0.8), pairs_for(0.8, hypotheses=5), pairs_for(0.8, test=anytime_p)
    (17, 24, 26)
    """
    counts = range(2, MOST + 1)
    return next((n for n in counts if power(n, hypotheses, effect, test) >= wanted), None)
