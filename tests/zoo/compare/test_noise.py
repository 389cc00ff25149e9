"""The noise of an arm and itself: where the variance of a run's score comes from."""

from dataclasses import replace

import numpy as np
import pytest
from made_comparison import made

from zoo.compare.analysis.analyse import analysed
from zoo.compare.analysis.noise import NoiseFloor
from zoo.compare.analysis.score_shares import Shares, shares, variance_of_examples
from zoo.compare.analysis.statistics import Interval
from zoo.compare.report.join_sources import join_runs
from zoo.compare.report.plan_words import shares_words
from zoo.compare.report.sources import read_source


def simulated(rng, pairs, examples, seed, data, item, rest):
    """The outcomes of two runs of each pair, `[pairs, 2, examples]`, by the sd of their effects."""
    return (
        seed * rng.normal(size=(pairs, 2, 1))
        + data * rng.normal(size=(pairs, 1, 1))
        + item * rng.normal(size=(pairs, 1, examples))
        + rest * rng.normal(size=(pairs, 2, examples))
    )


def estimated(outcomes):
    scores = outcomes.mean(axis=2)
    return shares(
        scores.tolist(), float(np.mean([variance_of_examples(*both) for both in outcomes]))
    )


@pytest.mark.parametrize(
    ("seed", "data", "item", "rest"),
    [(0.1, 0.2, 1.0, 0.5), (0.2, 0.0, 2.0, 0.5), (0.1, 0.3, 0.0, 0.0)],
)
def test_shares_are_those_of_a_simulation(seed, data, item, rest):
    found = estimated(simulated(np.random.default_rng(0), 4000, 100, seed, data, item, rest))
    parts = np.asarray([seed**2 + rest**2 / 100, data**2, item**2 / 100])
    assert [found.seed, found.data, found.examples] == pytest.approx(
        list(parts / parts.sum()), abs=0.03
    )


def test_few_pairs_give_shares_that_are_none_below_zero():
    rng = np.random.default_rng(0)
    for _ in range(200):
        found = estimated(simulated(rng, 3, 20, 1.0, 0.1, 1.0, 1.0))
        parts = [found.seed, found.data, found.examples]
        assert min(parts) >= 0
        assert sum(parts) == pytest.approx(1)


def test_scores_that_never_differ_have_no_shares():
    assert shares([[0.5, 0.5]] * 8, None) is None


def test_only_pairs_with_data_of_their_own_tell_the_shares(tmp_path):
    folder = made(tmp_path / "here", ["plain", "again"], [("gnn", 2)], 8)
    source = read_source(folder)
    source.record.declared.null = True
    source.record.cells = join_runs([source])
    (floor,) = analysed(source.record, [folder]).noise
    assert floor.shares is None
    for run in source.record.cells:
        run.data_digest = str(run.pair)
    (floor,) = analysed(source.record, [folder]).noise
    assert floor.shares.seed + floor.shares.data == pytest.approx(1)
    assert floor.shares.examples is None


def test_shares_stand_in_the_table_of_noise():
    floor = NoiseFloor(
        place="p", pairs=8, sd=Interval(1.0, 0.5, 2.0), delta=0.01, needs=[[8, 8, 9]] * 2
    )
    assert shares_words(floor) == ""
    known = replace(floor, shares=Shares(0.58, 0.0, 0.42))
    assert shares_words(known) == "seed 58 %, data 0 %, test examples 42 %"
    unknown = replace(floor, shares=Shares(0.58, 0.42, None))
    assert shares_words(unknown) == "seed 58 %, data and test examples 42 %"
