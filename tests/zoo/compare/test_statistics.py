"""Statistics of comparisons: against scipy, against hand counts, and calibrated by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from zoo.compare.analysis import statistics as ours


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_t_interval_is_scipys(rng):
    d = rng.normal(1, 2, 8)
    expected = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    found = ours.t_interval(d)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_pair_says_nothing():
    found = ours.t_interval([0.3])
    assert (found.low, found.high) == (None, None)
    assert ours.sign_flip_p([0.3]) == 1.0


def test_sign_flips_are_scipys_permutation_test(rng):
    for n in (3, 6, 9):
        d = rng.normal(0.5, 1, n)
        expected = stats.permutation_test(
            (d,), lambda x: x.mean(), permutation_type="samples", n_resamples=np.inf
        )
        assert ours.sign_flip_p(d) == pytest.approx(expected.pvalue)


def test_sign_flips_by_hand():
    assert ours.sign_flip_p([1.0, 2.0, 3.0]) == 0.25
    assert ours.sign_flip_p([1.0] * 8) == 2 / 256


def test_many_pairs_are_drawn_and_never_certain(rng):
    d = rng.normal(3, 1, 40)
    assert ours.sign_flip_p(d) == 1 / (ours.DRAWS + 1)
    assert ours.sign_flip_p(rng.normal(0, 1, 40)) > 0.05


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


def test_mcnemar_by_hand():
    assert ours.mcnemar_p(0, 5) == pytest.approx(2 / 32)
    assert ours.mcnemar_p(0, 0) == 1.0


def test_equivalence_rejects_both_one_sided_hypotheses(rng):
    d = rng.normal(0.0, 0.1, 10)
    p = ours.equivalence_p(d, 0.2)
    inner = stats.t.interval(0.9, 9, d.mean(), stats.sem(d))
    assert (p < 0.05) == (inner[0] > -0.2 and inner[1] < 0.2)
    assert ours.equivalence_p(d + 1, 0.2) > 0.99


@pytest.mark.parametrize("mean", [-0.5, -0.15, 0.0, 0.1, 0.5])
def test_equivalence_is_the_larger_of_two_one_sided_p(mean, rng):
    d = rng.normal(mean, 0.1, 10)
    lower = stats.ttest_1samp(d, -0.2, alternative="greater").pvalue
    upper = stats.ttest_1samp(d, 0.2, alternative="less").pvalue
    assert ours.equivalence_p(d, 0.2) == pytest.approx(max(lower, upper))
    assert ours.equivalence_p(-d, 0.2) == pytest.approx(ours.equivalence_p(d, 0.2))


def test_pairs_needed_agrees_with_simulated_power(rng):
    d = np.array([-1.0, 1.0]) * np.sqrt(0.5) + 1.0  # mean 1, standard deviation 1
    n = ours.pairs_needed(d)
    draws = rng.normal(1, 1, (4000, n))
    power = (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()
    assert 0.78 < power < 0.9
    fewer = (stats.ttest_1samp(draws[:, :-1], 0, axis=1).pvalue < 0.05).mean()
    assert fewer < 0.82


def test_pairs_needed_are_those_for_what_lies_beyond_delta(rng):
    d = rng.normal(1.0, 0.7, 8)
    assert ours.pairs_needed(d, 0.4) == ours.pairs_needed(d - 0.4) > ours.pairs_needed(d)
    assert ours.pairs_needed(-d, 0.4) == ours.pairs_needed(d, 0.4)
    assert ours.pairs_needed(d, 2.0) is None


def test_iqm_is_the_mean_of_the_middle_half():
    assert ours.iqm([[0, 1, 2, 3], [4, 5, 6, 100]]) == np.mean([2, 3, 4, 5])
    assert ours.iqm(np.arange(16) ** 2) == np.mean(np.arange(4, 12) ** 2)


def test_slopes_are_numpys_fits(rng):
    gaps, depths = rng.normal(size=(4, 3)), [2, 8, 64]
    expected = [np.polyfit(np.log2(depths), gap, 1)[0] for gap in gaps]
    assert ours.slopes(gaps, depths) == pytest.approx(expected)


def test_the_bootstrap_keeps_pairs_together(rng):
    shared = [rng.normal(0, 10, 8) for _ in range(5)]  # huge spread that both arms share
    found = ours.iqm_gap(shared, [x + 1 for x in shared])
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_the_bootstrap_of_one_task_is_scipys(rng):
    """With a heavy tail, so that the interquartile mean is far from the mean."""
    first, second = rng.standard_t(1.2, 24), rng.standard_t(1.2, 24)

    def gap(a, b, axis=-1):
        return stats.trim_mean(b, 0.25, axis) - stats.trim_mean(a, 0.25, axis)

    theirs = stats.bootstrap(
        (first, second), gap, paired=True, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = ours.iqm_gap([first], [second])
    assert found.value == pytest.approx(gap(first, second))
    width = theirs.high - theirs.low
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.05 * width)


@pytest.mark.parametrize("pairs", [3, 8, 20])
def test_coverage_of_the_interval_is_nominal(pairs):
    rng = np.random.default_rng(pairs)
    draws = rng.normal(0.3, 1.0, (2000, pairs))
    found = [ours.t_interval(d) for d in draws]
    covered = np.mean([i.low <= 0.3 <= i.high for i in found])
    assert 0.93 < covered < 0.97


@pytest.mark.parametrize("pairs", [5, 8])
def test_exact_p_keeps_its_level_whatever_the_distribution(pairs):
    rng = np.random.default_rng(pairs)
    heavy = rng.standard_cauchy((2000, pairs))
    assert np.mean([ours.sign_flip_p(d) <= 0.05 for d in heavy]) < 0.065


def test_outliers_are_seen_and_normal_draws_are_not():
    rng = np.random.default_rng(1)
    normal = rng.normal(0.1, 1, (500, 8))
    assert np.mean([ours.has_outlier(d) for d in normal]) < 0.06
    assert ours.has_outlier([0.1, 0.2, 0.15, 0.12, 0.18, 0.1, 0.2, -9.0])
    assert not ours.has_outlier([0.5] * 8)
