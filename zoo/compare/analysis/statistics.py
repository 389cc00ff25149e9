"""Statistics of rates, of slopes and over tasks, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval of 95 %.

    Args:
        value: the estimate.
        low: lower end of the interval; None without an interval.
        high: upper end of the interval; None without an interval.
    """

    value: float
    low: float | None
    high: float | None


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order of the raw ones (Holm 1979)."""
    order = np.argsort(p)
    raw = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(raw), 1.0)
    return [float(value) for value in adjusted]


@cache
def binomial_interval(hits: float, of: int) -> Interval:
    """The rate `hits / of`, exact interval (Clopper and Pearson 1934); ties may count as halves."""
    low = float(stats.beta.ppf((1 - LEVEL) / 2, hits, of - hits + 1)) if hits > 0 else 0.0
    high = float(stats.beta.ppf((1 + LEVEL) / 2, hits + 1, of - hits)) if hits < of else 1.0
    return Interval(hits / of, low, high)


@cache
def rate_bound(hits: int, of: int) -> float:
    """The largest rate that a count of hits does not exclude, at 95 % (Clopper, Pearson 1934).

    >>> round(rate_bound(0, 8), 2)
    0.31
    """
    return float(stats.beta.ppf(LEVEL, hits + 1, of - hits)) if hits < of else 1.0


def probability_better(differences: ArrayLike) -> Interval:
    """The rate of pairs whose difference is positive, with its interval; a tie is half a win."""
    d = np.asarray(differences, float)
    return binomial_interval(float((d > 0).sum() + (d == 0).sum() / 2), len(d))


def slopes(gaps: ArrayLike, depths: Sequence[float]) -> Array:
    """Least-squares slope of every pair's gap against log2 of depth.

    Args:
        gaps: `[pairs, depths]`.
        depths: two or more.
    """
    x = np.log2(np.asarray(depths, float))
    x = x - x.mean()
    result: Array = np.asarray(gaps, float) @ x / (x @ x)
    return result


def iqm(values: ArrayLike, axis: int | None = None) -> Array:
    """Interquartile mean (Agarwal et al. 2021, arXiv:2108.13264)."""
    mean: Array = np.asarray(stats.trim_mean(np.asarray(values, float), 0.25, axis=axis))
    return mean


def wins(ours: ArrayLike, theirs: ArrayLike) -> Array:
    """Whether each run of an arm scores above each run of another one; a tie is half a win."""
    a, b = np.asarray(ours, float)[:, None], np.asarray(theirs, float)[None]
    return (a > b) + 0.5 * (a == b)


def t_interval(value: float, variance: float, freedom: float) -> Interval:
    """An estimate with the interval that Student's t gives it.

    Args:
        value: the estimate.
        variance: of it.
        freedom: degrees of freedom of that variance.
    """
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * variance**0.5
    return Interval(value, value - half, value + half)
