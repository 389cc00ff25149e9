"""Statistics of paired differences: few pairs, so exact tests and t intervals, no asymptotics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
EXACT = 20  # pairs up to which all sign patterns are counted
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


def t_interval(differences: ArrayLike) -> Interval:
    """Mean of the differences with Student's interval; none for a single one."""
    d = np.asarray(differences, float)
    mean = float(d.mean())
    if len(d) < 2:
        return Interval(mean, None, None)
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5)
    return Interval(mean, mean - half, mean + half)


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float:
    """Two-sided p of the mean under flips of every sign: exact up to 20 pairs, then by draws.

    With n pairs no p is below 2^(1 - n).
    """
    d = np.asarray(differences, float)
    n = len(d)
    if n <= EXACT:
        sums = np.zeros(1)
        for difference in d:
            sums = np.concatenate([sums - difference, sums + difference])
        return float(np.mean(np.abs(sums) >= abs(d.sum()) * (1 - 1e-12) - 1e-15))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (DRAWS, n))
    hits = np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12)
    return float((hits.sum() + 1) / (DRAWS + 1))


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


def probability_better(differences: ArrayLike) -> Interval:
    """The rate of pairs whose difference is positive, with its interval; a tie is half a win."""
    d = np.asarray(differences, float)
    return binomial_interval(float((d > 0).sum() + (d == 0).sum() / 2), len(d))


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Exact two-sided p for pairs of which only one arm failed (McNemar 1947)."""
    discordant = only_first + only_second
    return float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0


def equivalence_p(differences: ArrayLike, delta: float) -> float:
    """The larger p of two one-sided t tests against -delta and delta (Schuirmann 1987)."""
    d = np.asarray(differences, float)
    if len(d) < 2:
        return 1.0
    room, error = delta - abs(d.mean()), d.std(ddof=1) / len(d) ** 0.5
    if not error:
        return 0.0 if room > 0 else 1.0
    return float(stats.t.sf(room / error, len(d) - 1))


def pairs_needed(
    differences: ArrayLike, delta: float = 0.0, power: float = 0.8, most: int = 1000
) -> int | None:
    """The number of pairs with which a two-sided t test at 5 % finds this effect beyond delta.

    None where that is more than `most`, and where the mean is not beyond delta.
    """
    d = np.asarray(differences, float)
    beyond = abs(d.mean()) - delta
    if len(d) < 2 or beyond <= 0:
        return None
    if not d.std(ddof=1):
        return len(d)
    effect = beyond / d.std(ddof=1)

    def power_of(n: int) -> float:
        return float(stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect * n**0.5))

    needed = 2 + bisect_left(range(2, most + 1), power, key=power_of)
    return needed if needed <= most else None


def has_outlier(differences: ArrayLike, delta: float = 0.0) -> bool:
    """Whether a difference lies more than 6 scaled median deviations from the median.

    A difference within delta of the median is no outlier. Fewer than 5 pairs have none.
    """
    d = np.asarray(differences, float)
    if len(d) < 5:
        return False
    centre = np.abs(d - np.median(d))
    scale = max(1.4826 * float(np.median(centre)), 1e-3 * float(np.abs(d).max()), 1e-12)
    return bool((centre > max(6 * scale, delta)).any())


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
