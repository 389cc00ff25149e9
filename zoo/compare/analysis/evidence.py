"""What a verdict rests on: the differences of pairs, and the runs that failed to train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.compare.analysis import signs, statistics
from zoo.compare.analysis.signs import Test

MISSING = 0.1  # share of missing pairs that blocks a verdict


@dataclass(frozen=True)
class Evidence:
    """The pairs of an arm and its baseline at one place.

    Args:
        arm: its name.
        baseline: the other one's.
        differences: of the pairs of which both runs ended, in the order of the pairs, the arm's
            score less the baseline's; positive: the arm is better.
        launched: pairs that were begun.
        untrained: whether the run of the arm failed to train, and that of the baseline, for each
            pair of which both runs ended.
        stake: what a score loses by that.
        unequal: why the arms are not paired, or nothing.
        delta: the smallest difference that matters.
        at_best: the differences at the best step on validation, of the pairs that have them.
        test: of a number of pairs that was fixed, or one that is valid whenever one stops.
        waiting: further pairs, which have not run yet.
        unscored: pairs with a run that diverged and has no score, since chance is not known.
    """

    arm: str
    baseline: str
    differences: Sequence[float]
    launched: int
    untrained: Sequence[tuple[bool, bool]] = ()
    stake: float = 0.0
    unequal: str = ""
    delta: float = 0.0
    at_best: Sequence[float] = ()
    test: Test = signs.fixed_p
    waiting: int = 0
    unscored: int = 0

    @property
    def ahead_p(self) -> float:
        """That neither arm is ahead in most pairs."""
        return signs.difference_p(self.differences, 0.0, self.test)

    @property
    def beyond_p(self) -> float:
        """That neither arm is ahead by more than delta in most pairs."""
        return signs.difference_p(self.differences, self.delta, self.test)

    @property
    def equivalence_p(self) -> float:
        """That half of all pairs, or more, differ by delta or more to one side."""
        return signs.equivalence_p(self.differences, self.delta, self.test) if self.delta else 1.0

    @property
    def failures(self) -> tuple[int, int]:
        """How many runs of the arm, and of the baseline, failed to train."""
        return sum(ours for ours, _ in self.untrained), sum(theirs for _, theirs in self.untrained)

    @property
    def failure_p(self) -> float:
        """That both arms fail equally often: the test of McNemar (1947), of pairs that differ."""
        only = [both for both in self.untrained if both[0] != both[1]]
        ours, theirs = np.asarray(only, bool).reshape(-1, 2).T
        return self.test(ours, theirs)

    @property
    def failures_matter(self) -> bool:
        """Whether as many failures as are not excluded could move a mean by delta or more."""
        bound = max(statistics.rate_bound(count, len(self.untrained)) for count in self.failures)
        return bound * self.stake >= self.delta

    def leader(self, delta: float) -> str:
        """The arm that the test of differences beyond delta speaks for."""
        ahead = signs.side(self.differences, delta, self.test) > 0
        return self.arm if ahead else self.baseline

    def blocked(self) -> str:
        """Why nothing may be said, or nothing."""
        if self.unequal:
            return self.unequal
        if self.unscored:
            return f"{self.unscored} of {self.launched} pairs diverged, and chance is not known"
        missing = self.launched - len(self.differences)
        if not self.differences:
            return "no pair has ended"
        few = missing > MISSING * self.launched
        return f"{missing} of {self.launched} pairs are missing" if few else ""

    def numbers(self) -> dict[str, Any]:
        """Everything that is estimated, by the names of a `Contrast`."""
        d = list(self.differences)
        counted = {
            "untrained": list(self.failures),
            "failure_p": self.failure_p,
            "failures_matter": self.failures_matter,
            "anytime": self.test is signs.anytime_p,
            "waiting": self.waiting,
        }
        if not d:
            return {"delta": self.delta, **counted}
        return {
            "pairs": len(d),
            "differences": d,
            "gap": signs.median_interval(d, self.test),
            "mean": float(np.mean(d)),
            "p": self.ahead_p,
            "beyond_p": self.beyond_p,
            "better": statistics.probability_better(d),
            "equivalence_p": self.equivalence_p,
            "delta": self.delta,
            **counted,
        }
