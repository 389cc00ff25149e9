"""Uncertainty over pairs and over test examples: against scipy, and covering planted gaps."""

import numpy as np
import pytest
from scipy import stats

from zoo.compare.analysis.items import crossed, nested

GAP = 0.02


def draws(rng, pairs, examples, sd_pairs, sd_examples, sd_rest=0.4):
    """Differences of two arms whose effect differs by example: crossed effects about a gap."""
    by_pair = sd_pairs * rng.normal(size=(pairs, 1))
    by_example = sd_examples * rng.normal(size=(1, examples))
    return GAP + by_pair + by_example + sd_rest * rng.normal(size=(pairs, examples))


def test_examples_without_effects_of_their_own_leave_students_interval():
    d = np.repeat(np.random.default_rng(0).normal(size=(8, 1)), 50, axis=1)
    expected = stats.ttest_1samp(d[:, 0], 0).confidence_interval(0.95)
    source = crossed(d)
    assert (source.gap.low, source.gap.high) == pytest.approx(tuple(expected))
    assert source.pairs == pytest.approx(1)


def test_pairs_that_are_all_alike_leave_the_interval_over_examples():
    d = np.repeat(np.random.default_rng(0).normal(size=(1, 50)), 8, axis=0)
    expected = stats.ttest_1samp(d[0], 0).confidence_interval(0.95)
    source = crossed(d)
    assert (source.gap.low, source.gap.high) == pytest.approx(tuple(expected))
    assert source.examples == pytest.approx(1)


@pytest.mark.parametrize("pairs", [8, 20])
@pytest.mark.parametrize(("sd_pairs", "sd_examples"), [(0.003, 0.3), (0.03, 0.3), (0.03, 0.05)])
def test_the_interval_covers_the_gap_over_other_pairs_and_examples(pairs, sd_pairs, sd_examples):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        gap = crossed(draws(rng, pairs, 100, sd_pairs, sd_examples)).gap
        covered += gap.low <= GAP <= gap.high
    assert covered / 1000 >= 0.93


def test_shares_of_pairs_with_examples_of_their_own():
    rng = np.random.default_rng(0)
    d = [0.1 * rng.normal() + 0.4 * rng.normal(size=64) for _ in range(1000)]
    source = nested(d)
    assert source.examples == pytest.approx(0.05**2 / (0.05**2 + 0.1**2), abs=0.03)
    expected = stats.ttest_1samp([x.mean() for x in d], 0).confidence_interval(0.95)
    assert (source.gap.low, source.gap.high) == pytest.approx(tuple(expected))
