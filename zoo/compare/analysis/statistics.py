"""Statistics of rates, of slopes and over tasks, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
DRAWS = 10_000
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


def binomial_interval(hits: float, of: int) -> Interval:
    """The rate `hits / of`, exact interval (Clopper and Pearson 1934); ties may count as halves."""
    low = float(stats.beta.ppf((1 - LEVEL) / 2, hits, of - hits + 1)) if hits > 0 else 0.0
    high = float(stats.beta.ppf((1 + LEVEL) / 2, hits + 1, of - hits)) if hits < of else 1.0
    return Interval(hits / of, low, high)


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


def iqm(values: ArrayLike) -> float:
    """Interquartile mean (Agarwal et al. 2021, arXiv:2108.13264)."""
    return float(stats.trim_mean(np.asarray(values, float), 0.25, axis=None))


def iqm_gap(first: Sequence[ArrayLike], second: Sequence[ArrayLike], seed: int = 0) -> Interval:
    """Gap of the interquartile means over tasks, second less first, by a stratified bootstrap.

    Pairs are drawn inside each task, with one draw for both arms.

    Args:
        first: normalised scores of one arm, `[pairs]` for each task.
        second: normalised scores of the other arm, pair by pair.
        seed: of the random draws.
    """
    a, b = [np.asarray(x, float) for x in first], [np.asarray(x, float) for x in second]
    value = iqm(np.concatenate(b)) - iqm(np.concatenate(a))
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, len(x), (DRAWS, len(x))) for x in a]

    def means(arm: list[Array]) -> Array:
        scores = np.concatenate([x[i] for x, i in zip(arm, drawn, strict=True)], axis=1)
        trimmed: Array = stats.trim_mean(scores, 0.25, axis=1)
        return trimmed

    low, high = np.percentile(means(b) - means(a), [2.5, 97.5])
    return Interval(value, float(low), float(high))
