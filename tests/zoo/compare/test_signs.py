"""Sign tests, intervals of the median and bets, against scipy, all sequences and quadrature."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from zoo.compare.analysis import signs

SOME = np.random.default_rng(0)
TESTS = pytest.mark.parametrize("test", [signs.fixed_p, signs.anytime_p])


def all_sequences(pairs, values=(-1, 0, 1)):
    return np.asarray(list(itertools.product(values, repeat=pairs)), float)


@pytest.mark.parametrize("pairs", [1, 5, 8, 21])
def test_the_fixed_test_is_the_binomial_one(pairs):
    for hits in range(pairs + 1):
        differences = np.where(np.arange(pairs) < hits, 2.0, -3.0)
        expected = stats.binomtest(hits, pairs).pvalue
        assert signs.difference_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize("pairs", [5, 6, 8, 9, 17, 40])
def test_the_interval_of_the_median_is_that_of_scipy(pairs):
    differences = SOME.standard_cauchy(pairs)
    interval = signs.median_interval(differences)
    level = 0.95 if pairs > 5 else 0.93
    expected = stats.quantile_test(differences, p=0.5).confidence_interval(level)
    assert interval.value == np.median(differences)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected))


def test_four_pairs_have_no_interval():
    assert signs.median_interval([1, 2, 3, 4]).low is None


@TESTS
@pytest.mark.parametrize("pairs", [9, 12, 30])
def test_interval_and_test_agree(pairs, test):
    for shift in np.linspace(-1.5, 1.5, 31):
        differences = SOME.normal(size=pairs) + shift
        interval = signs.median_interval(differences, test)
        apart = interval.low * interval.high > 0
        assert (signs.difference_p(differences, test=test) <= 0.05) == apart


def test_an_interval_of_all_looks_never_grows_and_may_contradict_itself():
    differences = SOME.normal(size=40)
    looks = [signs.median_interval(differences[:n], signs.anytime_p) for n in range(7, 41)]
    for before, after in itertools.pairwise(looks):
        assert before.low <= after.low <= after.high <= before.high
    assert signs.median_interval(differences[:6], signs.anytime_p).low is None
    assert looks[-1].high - looks[-1].low < looks[0].high - looks[0].low
    turned = [*np.linspace(1, 2, 12), *np.linspace(-2, -1, 80)]
    assert signs.median_interval(turned, signs.anytime_p).low is None


def test_a_bet_is_its_mixture_over_rates():
    for hits, misses in [(0, 0), (8, 0), (5, 3), (3, 9), (40, 20)]:

        def wealth(angle, hits=hits, misses=misses):  # the prior of Jeffreys is flat in it
            rate = np.sin(angle) ** 2
            return (2 * rate) ** hits * (2 * (1 - rate)) ** misses * 4 / np.pi

        expected, _ = integrate.quad(wealth, np.pi / 4, np.pi / 2)
        assert signs.bet(hits, hits + misses) == pytest.approx(expected)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_a_bet_wins_nothing_where_hits_are_not_above_a_half(rate):
    for of in range(30):
        for hits in range(of + 1):
            later = rate * signs.bet(hits + 1, of + 1) + (1 - rate) * signs.bet(hits, of + 1)
            assert later <= signs.bet(hits, of) * (1 + 1e-9)


@pytest.mark.parametrize("chances", [(0.5, 0.0, 0.5), (0.3, 0.4, 0.3), (0.5, 0.3, 0.2)])
@TESTS
def test_no_distribution_with_its_median_within_delta_is_called_beyond_more_often(chances, test):
    claimed = 0.0
    for sequence in all_sequences(8):
        chance = np.prod([chances[int(d) + 1] for d in sequence])
        looks = [sequence] if test is signs.fixed_p else [sequence[:n] for n in range(1, 9)]
        claimed += chance * any(signs.difference_p(d, 0.5, test) <= 0.05 for d in looks)
    assert 0 < claimed <= 0.05


@TESTS
def test_equivalence_is_claimed_at_most_as_often_where_the_median_is_at_delta(test):
    claimed = 0.0
    for sequence in all_sequences(11, (0.0, 1.0)):  # half of all differences are at delta
        looks = [sequence] if test is signs.fixed_p else [sequence[:n] for n in range(1, 12)]
        claimed += 0.5**11 * any(signs.equivalence_p(d, 1.0, test) <= 0.05 for d in looks)
    assert 0 < claimed <= 0.025


@TESTS
@pytest.mark.parametrize("hypotheses", [1, 5])
def test_the_power_is_what_simulated_pairs_have(test, hypotheses):
    pairs = 24
    samples = SOME.normal(1, 1, (4000, pairs))
    hits = [signs.difference_p(d, 0, test) <= 0.05 / hypotheses for d in samples]
    assert np.mean(hits) == pytest.approx(signs.power(pairs, hypotheses, 1.0, test), abs=0.03)


@TESTS
def test_the_pairs_for_a_power_have_it_and_one_less_has_not(test):
    for hypotheses in (1, 3, 10):
        needed = signs.pairs_for(0.8, hypotheses, test=test)
        powers = [signs.power(n, hypotheses, test=test) for n in (needed - 1, needed)]
        assert powers[0] < 0.8 <= powers[1]
    assert signs.pairs_for(0.8, effect=0.01, test=signs.fixed_p) is None
