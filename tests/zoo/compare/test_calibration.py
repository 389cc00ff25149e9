"""How often verdicts are wrong, by simulation: `pytest -m slow -k calibration`.

In every world the median of the differences is zero, so that `better` and `ahead` are false; moved
by the smallest difference that matters, so are `better` and `equivalent`.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from zoo.compare.analysis import signs
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.verdict import corrected, verdict

DELTA = 0.5
ROUNDS = 1000
WORLDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(3, n),
    "skewed": lambda rng, n: rng.exponential(size=n) - np.log(2),
    "log-normal arms": lambda rng, n: np.subtract(*rng.lognormal(size=(2, n))),
    "one arm fails": lambda rng, n: np.where(
        rng.random(n) < 0.1, -30, rng.normal(-stats.norm.ppf(0.4 / 0.9), 1, n)
    ),
    "ties": lambda rng, n: np.round(rng.normal(size=n)),
    "bimodal": lambda rng, n: np.subtract(*rng.choice([0, 3], (2, n), p=[0.1, 0.9])),
    "ceiling": lambda rng, n: np.subtract(*np.minimum(rng.normal(1, 1, (2, n)), 1)),
    "between pairs": lambda rng, n: rng.normal(0, 10 ** rng.normal(size=n)),
}
MIXED = list(WORLDS.values())[:5]


def said(differences, test=signs.fixed_p):
    """The verdicts of a family of hypotheses."""
    family = [Evidence("a", "b", list(d), len(d), delta=DELTA, test=test) for d in differences]
    return [verdict(e, p) for e, p in zip(family, corrected(family), strict=True)]


def wrong(worlds, pairs, *claims, shift=0.0, looks=None):
    """For each set of claims the rate of comparisons in which some task has one of them.

    Args:
        worlds: of the tasks.
        pairs: in the end.
        claims: sets of words.
        shift: of all differences.
        looks: numbers of pairs at which somebody looks, with the test that is valid then.
    """
    rng, false = np.random.default_rng(0), np.zeros(len(claims))
    for _ in range(ROUNDS):
        differences = [world(rng, pairs) + shift for world in worlds]
        seen = [said([d[:n] for d in differences], signs.anytime_p) for n in looks or ()]
        verdicts = " ".join(itertools.chain(*(seen or [said(differences)])))
        false += [any(word in verdicts for word in words) for words in claims]
    return list(false / ROUNDS)


SETTINGS = list(itertools.product([8, 12, 20], [1, 3, 5]))  # pairs; tasks, or arms but the baseline


DIFFERENT = ("better", "ahead, not")
EQUAL = ("equivalent", "alike")


@pytest.mark.slow
@pytest.mark.parametrize(("pairs", "tasks"), SETTINGS)
@pytest.mark.parametrize("name", WORLDS)
def test_no_difference_is_called_one_in_at_most_5_percent(name, pairs, tasks):
    assert wrong([WORLDS[name]] * tasks, pairs, DIFFERENT)[0] <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [8, 12, 20])
def test_tasks_of_different_kinds(pairs):
    assert wrong(MIXED, pairs, DIFFERENT)[0] <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("shift", [-DELTA, DELTA])
@pytest.mark.parametrize(("pairs", "tasks"), SETTINGS)
@pytest.mark.parametrize("name", WORLDS)
def test_a_difference_of_delta_is_called_neither_better_nor_equivalent(name, pairs, tasks, shift):
    worlds = [WORLDS[name]] * tasks
    assert max(wrong(worlds, pairs, ("better",), EQUAL, shift=shift)) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [1, 5])
@pytest.mark.parametrize("name", WORLDS)
def test_a_look_after_every_second_pair_does_not_mislead(name, tasks):
    worlds, looks = [WORLDS[name]] * tasks, range(8, 33, 2)
    assert wrong(worlds, 32, DIFFERENT, looks=looks)[0] <= 0.06
    assert max(wrong(worlds, 32, ("better",), EQUAL, shift=DELTA, looks=looks)) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [5, 8, 12, 20])
@pytest.mark.parametrize("name", WORLDS)
def test_the_interval_covers_the_median(name, pairs):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(ROUNDS):
        interval = signs.median_interval(WORLDS[name](rng, pairs))
        covered += interval.low <= 0 <= interval.high
    assert covered / ROUNDS >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "pairs", "at_least"), [(1, 17, 0.78), (5, 24, 0.78)])
def test_an_effect_of_one_standard_deviation_beyond_delta_is_found(tasks, pairs, at_least):
    rng = np.random.default_rng(0)
    differences = rng.normal(DELTA + 1, 1, (ROUNDS, tasks, pairs))
    found = [said(d)[0] == "a better" for d in differences]
    assert np.mean(found) >= at_least
