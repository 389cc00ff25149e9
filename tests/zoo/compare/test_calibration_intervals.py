"""How often intervals cover what they estimate, by simulation; see `test_calibration.py`.

Asked is 93 % where 95 % is nominal, but for two standard errors of the simulation.
"""

import numpy as np
import pytest
from scipy import stats
from worlds import DIFFERENCES, TASKS, skewed_and_wide

from zoo.compare.analysis import averages, signs
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.items import clustered
from zoo.compare.analysis.verdict import corrected

pytestmark = pytest.mark.slow
ROUNDS, LEAST = 1000, 0.93


def covers(interval, value):
    """Whether an interval holds a value."""
    return interval.low <= value <= interval.high


def at_least(rate, rounds=ROUNDS):
    """Whether a rate is no less than asked, as far as its simulation can tell."""
    return rate >= LEAST - 2 * np.sqrt(LEAST * (1 - LEAST) / rounds)


@pytest.mark.parametrize("pairs", [5, 8, 12, 20])
@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_interval_covers_the_median(name, pairs, record_property):
    samples = DIFFERENCES[name](np.random.default_rng(0), (ROUNDS, pairs))
    rate = np.mean([covers(signs.median_interval(d), 0) for d in samples])
    record_property("median", float(rate))
    assert at_least(rate)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_intervals_of_all_looks_cover_the_median_together(name, record_property):
    """The interval of the last look is within those of all others."""
    samples = DIFFERENCES[name](np.random.default_rng(0), (ROUNDS // 3, 32))
    intervals = [signs.median_interval(d, signs.anytime_p) for d in samples]
    rate = np.mean([i.low is not None and covers(i, 0) for i in intervals])
    record_property("median, all looks", float(rate))
    assert at_least(rate, ROUNDS // 3)


def averages_of(ours, theirs):
    """Every average over tasks."""
    gaps = list(ours - theirs)
    return {
        "mean": averages.mean_gap(gaps),
        "iqm": averages.middle_gap(gaps),
        "improvement": averages.improvement(list(zip(ours, theirs, strict=True))),
    }


def true_averages(world, tasks, shift=0.0):
    """What the averages estimate."""
    ours, theirs = world(np.random.default_rng(1), tasks, 200_000)
    ours = ours + shift
    return {
        "mean": (ours - theirs).mean(),
        "iqm": stats.trim_mean((ours - theirs).ravel(), 0.25),
        "improvement": np.mean((ours > theirs) + (ours == theirs) / 2),
    }


def coverage(true, samples, record_property):
    """The rates at which averages are covered, from samples of two arms, as properties too."""
    found = [averages_of(*sample) for sample in samples]
    rates = {key: np.mean([covers(f[key], true[key]) for f in found]) for key in true}
    for key, rate in rates.items():
        record_property(key, float(rate))
    return rates


@pytest.fixture
def few_draws(monkeypatch):
    """A bootstrap of 1000 samples, which takes a tenth of the time."""
    monkeypatch.setattr(averages, "DRAWS", 1000)


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("pairs", [8, 16])
@pytest.mark.parametrize("tasks", [2, 5])
@pytest.mark.parametrize("name", TASKS)
def test_averages_over_tasks(name, tasks, pairs, record_property):
    rng, world = np.random.default_rng(0), TASKS[name]
    samples = (world(rng, tasks, pairs) for _ in range(ROUNDS))
    rates = coverage(true_averages(world, tasks), samples, record_property)
    assert at_least(min(rates.values()))


def until_decided(scores):
    """The scores of two arms up to the look, after any pair, at which every task is decided."""
    for n in range(8, scores.shape[2] + 1):
        ours, theirs = scores[:, :, :n]
        family = [
            Evidence("a", "b", list(d), n, delta=0.3, test=signs.anytime_p) for d in ours - theirs
        ]
        if all(min(p.beyond, p.equivalent) <= signs.ALPHA for p in corrected(family)):
            break
    return ours, theirs


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("shift", [0.0, 0.8])
@pytest.mark.parametrize("name", ["normal", "t3", "skewed"])
def test_averages_of_a_comparison_that_ends_when_all_is_decided(name, shift, record_property):
    rng, world, shifted = np.random.default_rng(0), TASKS[name], np.reshape([shift, 0], (2, 1, 1))
    samples = (until_decided(world(rng, 2, 29) + shifted) for _ in range(ROUNDS // 2))
    rates = coverage(true_averages(world, 2, shift), samples, record_property)
    assert at_least(min(rates.values()), ROUNDS // 2)


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("pairs", [8, 16])
def test_a_skewed_task_that_outweighs_all_others_is_covered_less(pairs, record_property):
    """What no t interval mends: the mean of eight exponential gaps is covered in 90 %."""
    rng = np.random.default_rng(0)
    samples = (skewed_and_wide(rng, 2, pairs) for _ in range(ROUNDS))
    rates = coverage(true_averages(skewed_and_wide, 2), samples, record_property)
    assert 0.86 <= rates["mean"] < 0.95


def examples_of(rng, design, pairs=8, examples=360, pool=1797):
    """Which test examples every pair has: all the same, each its own, or drawn from one pool."""
    if design == "crossed":
        return np.tile(np.arange(examples), (pairs, 1))
    if design == "nested":
        return np.arange(pairs * examples).reshape(pairs, examples)
    return np.stack([rng.permutation(pool)[:examples] for _ in range(pairs)])


def outcomes_of(rng, items, gap, by_pair, by_item, binary):
    """Differences of outcomes, `[pairs, examples]`, whose gap varies by pair and by example."""
    effect = (
        by_pair * rng.normal(size=(len(items), 1))
        + by_item * rng.normal(size=items.max() + 1)[items]
    )
    if not binary:
        return gap + effect + 0.4 * rng.normal(size=items.shape)
    right = [rng.random(items.shape) < rate for rate in rates_of(gap + effect)]
    return np.subtract(*right, dtype=float)


def rates_of(effects):
    """The rates at which two arms are right, that differ by an effect where they can."""
    return np.clip(0.85 + effects / 2, 0, 1), np.clip(0.85 - effects / 2, 0, 1)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("gap", [0.0, 0.03])
@pytest.mark.parametrize(("by_pair", "by_item"), [(0, 0), (0, 0.3), (0.03, 0.1), (0.03, 0.6)])
@pytest.mark.parametrize("design", ["crossed", "nested", "resplit"])
def test_gaps_for_other_examples(design, by_pair, by_item, gap, binary, record_property):
    rng = np.random.default_rng(0)
    effects = gap + np.hypot(by_pair, by_item) * rng.normal(size=1_000_000)
    true = float(np.subtract(*rates_of(effects)).mean()) if binary else gap
    hits = 0
    for _ in range(ROUNDS):
        items = examples_of(rng, design)
        d = outcomes_of(rng, items, gap, by_pair, by_item, binary)
        hits += covers(clustered(list(d), list(items)).gap, true)
    record_property("examples", hits / ROUNDS)
    assert at_least(hits / ROUNDS)
