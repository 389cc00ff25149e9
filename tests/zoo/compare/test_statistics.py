"""Statistics of comparisons: against scipy, against hand counts, and calibrated by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from zoo.compare.analysis import statistics as ours


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_holm_by_hand_and_by_brute_force(rng):
    assert ours.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    p = rng.uniform(0, 0.2, 5)
    closed = []  # closure principle: the largest Bonferroni p over all sets that hold a hypothesis
    for i in range(5):
        sets = [s for r in range(1, 6) for s in itertools.combinations(range(5), r) if i in s]
        closed.append(max(min(1, len(s) * min(p[j] for j in s)) for s in sets))
    assert ours.holm(list(p)) == pytest.approx(closed)


def test_rates_are_scipys_exact_ones():
    for hits, of in ((0, 8), (3, 8), (8, 8)):
        expected = stats.binomtest(hits, of).proportion_ci(0.95, method="exact")
        found = ours.binomial_interval(hits, of)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_a_tie_is_half_a_win():
    assert ours.probability_better([1, 2, 0, -1]).value == 0.625


@pytest.mark.parametrize(("hits", "of"), [(0, 8), (1, 8), (5, 60)])
def test_the_bound_of_a_rate_is_the_one_at_which_so_few_hits_have_5_percent(hits, of):
    assert stats.binom.cdf(hits, of, ours.rate_bound(hits, of)) == pytest.approx(0.05)
    assert ours.rate_bound(of, of) == 1


def test_iqm_is_the_mean_of_the_middle_half():
    assert ours.iqm([[0, 1, 2, 3], [4, 5, 6, 100]]) == np.mean([2, 3, 4, 5])
    assert ours.iqm(np.arange(16) ** 2) == np.mean(np.arange(4, 12) ** 2)


def test_a_t_interval_is_scipys(rng):
    d = rng.normal(size=9)
    expected = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    interval = ours.t_interval(d.mean(), d.var(ddof=1) / 9, 8)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected))


def test_slopes_are_numpys_fits(rng):
    gaps, depths = rng.normal(size=(4, 3)), [2, 8, 64]
    expected = [np.polyfit(np.log2(depths), gap, 1)[0] for gap in gaps]
    assert ours.slopes(gaps, depths) == pytest.approx(expected)
