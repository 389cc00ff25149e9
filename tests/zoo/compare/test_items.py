"""Uncertainty over pairs and over test examples: against scipy, by hand, and in files."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from zoo.compare.analysis.items import clustered, sources_of, warnings_of
from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.statistics import Interval
from zoo.compare.analysis.summaries import Contrast, Sources

SAME = [np.arange(50)] * 8


def of_students(values):
    return pytest.approx(tuple(stats.ttest_1samp(values, 0).confidence_interval(0.95)))


def test_examples_without_effects_of_their_own_leave_students_interval():
    d = np.repeat(np.random.default_rng(0).normal(size=(8, 1)), 50, axis=1)
    source = clustered(list(d), SAME)
    assert (source.gap.low, source.gap.high) == of_students(d[:, 0])
    assert source.pairs == pytest.approx(1)


def test_pairs_that_are_all_alike_leave_the_interval_over_examples():
    d = np.repeat(np.random.default_rng(0).normal(size=(1, 50)), 8, axis=0)
    source = clustered(list(d), SAME)
    assert (source.gap.low, source.gap.high) == of_students(d[0])
    assert source.examples == pytest.approx(1)


def test_pairs_with_examples_of_their_own_leave_the_interval_over_pairs():
    rng = np.random.default_rng(0)
    d = 0.1 * rng.normal(size=(1000, 1)) + 0.4 * rng.normal(size=(1000, 64))
    source = clustered(list(d), list(np.arange(64_000).reshape(1000, 64)))
    assert (source.gap.low, source.gap.high) == pytest.approx(
        tuple(stats.ttest_1samp(d.mean(1), 0).confidence_interval(0.95)), rel=1e-4
    )
    assert source.examples == pytest.approx(0.05**2 / (0.05**2 + 0.1**2), abs=0.03)


def test_the_variances_of_overlapping_examples_add_up_by_hand():
    """Three pairs of two examples, of which each is in two pairs."""
    items = [np.asarray(pair) for pair in ([0, 1], [1, 2], [2, 0])]
    d = [np.asarray(pair) for pair in ([10.0, 1.0], [-2.0, 1.0], [-5.0, 1.0])]
    left = [np.subtract(x, 1.0) / 6 for x in d]  # less the mean, times its weight
    pairs = sum(x.sum() ** 2 for x in left) * 3 / 2
    by_item = [left[0][0] + left[2][1], left[0][1] + left[1][0], left[1][1] + left[2][0]]
    examples = sum(x**2 for x in by_item) * 3 / 2
    variance = pairs + examples - sum((x**2).sum() for x in left) * 6 / 5
    freedom = variance**2 / (pairs**2 / 2 + examples**2 / 2)
    source = clustered(d, items)
    assert source.gap.high - 1 == pytest.approx(stats.t.ppf(0.975, freedom) * variance**0.5)
    assert source.examples == pytest.approx(examples / variance)


def pairing_of(tmp_path, d, items=None, digests=("d",) * 8):
    """The pairing of runs with some outcomes, kept in files: those of the baseline are 0."""
    runs = {"residual": {}, "plain": {}}
    for arm, of_arm in runs.items():
        for pair, row in enumerate(d):
            run = Run(
                place="p", task="t", family="t", depth=None, settings={}, arm=arm, pair=pair,
                seed=pair, id=f"{arm}{pair}", command="", status="done", value=0.5,
                higher_is_better=True, data_digest=digests[pair],
            )  # fmt: skip
            of_arm[pair] = run
            folder = tmp_path / "cells" / run.id
            folder.mkdir(parents=True)
            columns = {} if items is None else {"items": items[pair]}
            test = np.asarray(row, np.float32) * (arm == "residual")
            np.savez(folder / "outcomes.npz", test=test, **columns)
    return Pairing(*runs.values())


@pytest.mark.parametrize("case", ["the same data", "data of its own", "an order of its own"])
def test_files_tell_which_examples_pairs_share(case, tmp_path):
    d = np.random.default_rng(0).normal(size=(8, 50)) + np.linspace(-2, 2, 50)
    if case == "the same data":  # of runs that do not say which examples theirs are
        found, known = sources_of(pairing_of(tmp_path, d), [tmp_path]), SAME
    elif case == "data of its own":
        pairing = pairing_of(tmp_path, d, digests="abcdefgh")
        found, known = sources_of(pairing, [tmp_path]), list(np.arange(400).reshape(8, 50))
    else:
        known = [np.random.default_rng(pair).permutation(90)[:50] for pair in range(8)]
        pairing = pairing_of(tmp_path, d, known, digests="abcdefgh")
        found = sources_of(pairing, [tmp_path])
    expected = clustered(list(d), known)
    assert found.gap.low == pytest.approx(expected.gap.low)
    assert found.examples == pytest.approx(expected.examples)


def test_arms_that_were_tested_on_different_examples_have_no_shares(tmp_path):
    items = list(np.arange(400).reshape(8, 50))
    pairing = pairing_of(tmp_path, np.zeros((8, 50)), items)
    path = tmp_path / "cells" / "plain3" / "outcomes.npz"
    np.savez(path, test=np.zeros(50, np.float32), items=np.arange(50))
    assert sources_of(pairing, [tmp_path]) is None


def test_a_run_that_failed_to_train_adds_chance_with_every_example(tmp_path):
    """Its own outcomes may lie far beyond chance, or be missing; scores, and the gap, do not."""
    d = np.random.default_rng(0).normal(1, 0.1, (8, 50))
    pairing = pairing_of(tmp_path, d)
    for pair in (1, 4):
        run = pairing.theirs[pair]
        pairing.theirs[pair] = replace(run, chance=-2.0, value=-2.0)
        np.savez(tmp_path / "cells" / run.id / "outcomes.npz", test=np.full(50, -70.0))
    diverged = pairing.theirs[6]
    pairing.theirs[6] = replace(diverged, status="diverged", chance=-2.0, value=-2.0)
    (tmp_path / "cells" / diverged.id / "outcomes.npz").unlink()
    expected = d.mean() + 3 / 8 * 2
    assert sources_of(pairing, [tmp_path]).gap.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("ends", "holm_p", "warned"),
    [
        ((0.02, 0.3), 0.01, False),
        ((0.005, 0.3), 0.01, True),  # better than by 0.01 is what is said
        ((0.005, 0.3), 0.20, False),  # ahead, at all
        ((-0.01, 0.3), 0.20, True),
        ((-0.3, -0.02), 0.01, False),
    ],
)
def test_a_verdict_that_other_examples_may_change_has_a_warning(ends, holm_p, warned):
    c = Contrast(
        arm="a", baseline="b", pairs=8, gap=Interval(0.1, 0.05, 0.2), delta=0.01, seeds=[],
        secondary={}, diverged=[], untrained=[], failure_p=1.0, holm_p=holm_p, ahead_holm_p=0.02,
        needed=8, verdict="a ahead", sources=Sources(Interval(0.1, *ends), 0.5, 0.5),
    )  # fmt: skip
    assert bool(warnings_of(c)) == warned
    c.ahead_holm_p = c.holm_p = 0.2
    assert warnings_of(c) == []
