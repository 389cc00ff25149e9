"""What may be said of the differences of pairs: computed words.

What is said is what is tested: that in most pairs the arm is better by more than the smallest
difference that matters, which is to say the median of the differences. Runs that fail to train
have words of their own. Up to 3 pairs tell a direction, from 5 on there is an interval, and from 8
on a verdict: that is the smallest number whose exact p passes Holm's correction over five
hypotheses, one for each task; more of them want more pairs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoo.compare.analysis import signs
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.signs import ALPHA, Test
from zoo.compare.analysis.statistics import holm, rate_bound

DIRECTION, INTERVAL, CLAIM = 3, 5, 8  # pairs that tell a direction, an interval, a verdict
EXPLORING = 0.2  # share of the 5 % in which exploratory claims may err, beside the primary ones


def needed(hypotheses: int, test: Test = signs.fixed_p, share: float = 1.0) -> int:
    """Pairs of a verdict: with fewer no p can pass Holm's correction, were they all alike.

    Args:
        hypotheses: number of those that are corrected for each other.
        test: of the pairs.
        share: of the 5 % in which they may err.

    >>> needed(1), needed(5), needed(10), needed(5, signs.anytime_p)
    (8, 8, 9, 10)
    """
    level = ALPHA * share / hypotheses
    return next(n for n in itertools.count(CLAIM) if signs.least_p(n, test) <= level)


def planned(e: Evidence) -> int:
    """Pairs that a fixed plan still waits for, and those before them; 0 where all have run.

    A claim before the last of them would be one more test.
    """
    return e.launched + e.waiting if e.waiting and e.test is signs.fixed_p else 0


@dataclass(frozen=True)
class Corrected:
    """The p values of a hypothesis after the correction over its family: up to 5 % is a claim.

    Args:
        beyond: that no arm is better by more than delta in most pairs.
        ahead: that none is better.
        equivalent: that half of all pairs differ by delta or more to one side.
        failures: that both arms fail to train equally often.
        needed: pairs of a verdict.
    """

    beyond: float
    ahead: float
    equivalent: float
    failures: float
    needed: int


def corrected(family: Sequence[Evidence], share: float = 1.0) -> list[Corrected]:
    """The p values of hypotheses that are tested together: each kind of claim errs in 5 %.

    "Better" is corrected by Holm over the family, and "ahead" by what then remains of it: nobody
    errs by "ahead" about an arm that is rightly called better, so that both err in 5 % together.
    "Equivalent" and "fails more often" are families of their own.

    Args:
        family: of hypotheses.
        share: of the 5 % in which they may err.
    """
    beyond = holm([e.beyond_p / share for e in family])
    equal = holm([e.equivalence_p / share for e in family])
    failures = holm([e.failure_p / share for e in family])
    rest = sum(p > ALPHA for p in beyond)
    return [
        Corrected(
            beyond=beyond[i],
            ahead=min(1.0, rest * e.ahead_p / share),
            equivalent=equal[i],
            failures=failures[i],
            needed=max(needed(len(family), e.test, share), planned(e)),
        )
        for i, e in enumerate(family)
    ]


def verdict(e: Evidence, p: Corrected) -> str:
    """The words for the differences of an arm and its baseline."""
    if reason := e.blocked():
        return f"blocked: {reason}"
    if not any(e.differences) and e.untrained and all(all(both) for both in e.untrained):
        return "blocked: every run failed to train"
    if not any(e.differences) or len(e.differences) < p.needed:
        return direction(e, f"{e.arm} ahead", f"{e.baseline} ahead", "the same")
    if p.beyond <= ALPHA:
        return f"{e.leader(e.delta)} better"
    if p.equivalent <= ALPHA:
        kind = "alike in most pairs" if e.failures_matter else "equivalent"
        return f"{kind}, within {e.delta:g}"
    if p.ahead <= ALPHA:
        return f"{e.leader(0.0)} ahead, not shown beyond {e.delta:g}"
    return "inconclusive"


def at_best(family: Sequence[Evidence], share: float = 1.0) -> list[str]:
    """For each of some hypotheses the verdict at the best step, or nothing where it is the same.

    Before there are enough pairs for a verdict it is another one, too, where only one of the two
    medians lies beyond the smallest effect.

    Args:
        family: of hypotheses.
        share: of the 5 % in which they may err.
    """
    others = [replace(e, differences=e.at_best or e.differences) for e in family]
    both = zip(family, corrected(family, share), others, corrected(others, share), strict=True)
    words = []
    for e, p, o, q in both:
        last, best = verdict(e, p), verdict(o, q)
        few = len(e.differences) < p.needed
        apart = kind(last) != kind(best) or (few and side(e) != side(o))
        words.append(best if apart and not e.blocked() else "")
    return words


def kind(words: str) -> str:
    """A verdict without its count of pairs.

    >>> kind("residual ahead in 2 of 3")
    'residual ahead'
    """
    return re.sub(r" in \d+ of \d+$", "", words)


def side(e: Evidence) -> int:
    """Where the median lies: 1 above the smallest effect, -1 below its negative, 0 within."""
    median = float(np.median(e.differences)) if e.differences else 0.0
    return (median > e.delta) - (median < -e.delta)


def direction(e: Evidence, up: str, down: str, same: str) -> str:
    """How many pairs point to where most of them do, in words for both ways and for neither."""
    n, ways = len(e.differences), np.sign(e.differences)
    for words, way in ((up, 1), (down, -1), (same, 0)):
        count = int((ways == way).sum())
        if 2 * count > n:
            return f"{words} in {count} of {n}"
    return f"no direction in {n} pairs"


def failures(e: Evidence, p: Corrected) -> str:
    """The words for runs that failed to train: who fails more often, or how often that may be."""
    n, counts = len(e.untrained), dict(zip((e.arm, e.baseline), e.failures, strict=True))
    if not n:
        return ""
    rates = ", ".join(f"{name} {rate(count, n)}" for name, count in counts.items())
    worst = max(counts, key=lambda name: counts[name])
    claimed = p.failures <= ALPHA and n >= p.needed
    return f"{worst} fails to train more often: {rates}" if claimed else rates


def rate(count: int, n: int) -> str:
    """A count with the largest rate that it does not exclude.

    >>> rate(0, 8)
    '0 of 8 (up to 31 %)'
    """
    return f"{count} of {n} (up to {100 * rate_bound(count, n):.0f} %)"


def slope_verdict(e: Evidence, p: Corrected, shallow: int, deep: int) -> str:
    """The words for how a gap changes with depth.

    Args:
        e: slopes of the pairs; their delta is the smallest slope that matters.
        p: of them.
        shallow: who is shown to lead at the shallowest place: 1 the arm, -1 the baseline, 0 nobody.
        deep: the same at the deepest one.
    """
    if not any(e.differences) or len(e.differences) < p.needed:
        return direction(e, "rises", "falls", "the same at every depth")
    if p.equivalent <= ALPHA < p.beyond:
        return f"the same at every depth, within {e.delta:.2g} a doubling"
    if p.ahead > ALPHA or not (shallow or deep):
        return "inconclusive"
    beyond = p.beyond <= ALPHA
    rises = e.leader(e.delta if beyond else 0.0) == e.arm
    words = f"{change(1 if rises else -1, shallow, deep)} with depth"
    return words if beyond else f"{words}, not shown beyond {e.delta:.2g} a doubling"


def change(way: int, shallow: int, deep: int) -> str:
    """What a gap does that rises with depth (`way` is 1) or falls (-1), in a word.

    Args:
        way: 1 or -1.
        shallow: who is shown to lead at the shallowest place, as in `slope_verdict`.
        deep: the same at the deepest one.

    >>> change(1, -1, 1), change(1, 0, 1), change(1, -1, 0), change(1, 1, 0)
    ('reverses', 'grows', 'closes', 'rises')
    """
    if deep == way:
        return "reverses" if shallow == -way else "grows"
    if shallow == -way:
        return "closes"
    return "rises" if way > 0 else "falls"
