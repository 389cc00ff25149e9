"""Averages over tasks that all weigh the same, with intervals for other pairs of the same tasks.

Every interval is a t interval whose degrees of freedom are those of the task with the fewest pairs,
which are too few rather than too many (for two normal samples of unlike variances: Mickey and Brown
1966, Annals of Mathematical Statistics 37:639-642). How often it covers is simulated in
`tests/zoo/compare/test_calibration.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.compare.analysis.statistics import Array, Interval, iqm, t_interval, wins
from zoo.compare.analysis.verdict import CLAIM

DRAWS = 10_000  # of a bootstrap


def mean_gap(gaps: Sequence[Array]) -> Interval:
    """The mean over tasks of their mean gaps; its variance is the sum of theirs over k squared.

    Args:
        gaps: of the pairs of each task.
    """
    variances = [float(gap.var(ddof=1)) / len(gap) if len(gap) > 1 else 0.0 for gap in gaps]
    mean = float(np.mean([gap.mean() for gap in gaps]))
    return interval(mean, sum(variances) / len(gaps) ** 2, fewest(gaps))


def middle_gap(gaps: Sequence[Array]) -> Interval:
    """The interquartile mean of the gaps of all pairs.

    Its variance is the mean square by which those of 10,000 bootstrap samples miss it, drawn inside
    each task, times n / (n - 1), by which a bootstrap of n pairs is too narrow (Efron 1982, The
    Jackknife, the Bootstrap and Other Resampling Plans, section 5.2), n being those that are kept:
    one half.

    Args:
        gaps: of the pairs of each task.
    """
    value, n = float(iqm(np.concatenate(gaps))), fewest(gaps)
    if not n:
        return Interval(value, None, None)
    rng = np.random.default_rng(0)
    drawn = [gap[rng.integers(0, len(gap), (DRAWS, len(gap)))] for gap in gaps]
    missed = iqm(np.concatenate(drawn, axis=1), axis=1) - value
    return interval(value, float(np.mean(missed**2)) * n / (n - 2), n)


def improvement(scores: Sequence[tuple[Array, Array]]) -> Interval:
    """The mean over tasks of the probability that a run of the arm beats one of the baseline.

    It is over all runs of both arms (Agarwal et al. 2021, arXiv:2108.13264).

    Args:
        scores: of the arm and of the baseline in each task, by pair.
    """
    rates, variances = zip(*(win_rate(ours, theirs) for ours, theirs in scores), strict=True)
    n = fewest([ours for ours, _ in scores])
    mean = interval(float(np.mean(rates)), sum(variances) / len(rates) ** 2, n)
    if mean.low is None or mean.high is None:
        return mean
    return Interval(mean.value, max(mean.low, 0.0), min(mean.high, 1.0))


def win_rate(ours: Array, theirs: Array) -> tuple[float, float]:
    """How often a run of an arm scores above one of another arm, and the variance of that rate.

    The variance is that of what each pair contributes: its rate of wins against all runs of the
    other arm, of both its runs (DeLong et al. 1988, Biometrics 44:837-845, with the covariance of
    the two runs of a pair). A win and a loss are added to it, so that a rate of 1 in few runs is
    not taken for a certain one (Agresti and Coull 1998, American Statistician 52:119-126).

    Args:
        ours: scores of the arm, by pair.
        theirs: scores of the other one.
    """
    won = wins(ours, theirs)
    rate, n = float(won.mean()), len(won)
    each = np.append(won.mean(axis=0) + won.mean(axis=1) - rate, [0.0, 1.0])
    return rate, float(((each - rate) ** 2).sum()) / (n + 1) / n


def interval(value: float, variance: float, n: int) -> Interval:
    """The interval of an average by the pairs that count; without any there is none."""
    return t_interval(value, variance, n - 1) if n else Interval(value, None, None)


def fewest(tasks: Sequence[Array]) -> int:
    """The smallest number of pairs of a task, or 0 where it is below 8: then no interval holds."""
    n = min(map(len, tasks))
    return n if n >= CLAIM else 0
