"""What is said over tasks: gaps, the probability of improvement, profiles; by hand and by scipy."""

from dataclasses import replace

import numpy as np
import pytest
from made_comparison import made
from scipy import stats

from zoo.compare.analysis import averages
from zoo.compare.analysis.analyse import analysed, place_summaries
from zoo.compare.analysis.over_tasks import scores_by_task, task_averages
from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.record import Declared, Record
from zoo.compare.analysis.runs import Run
from zoo.compare.report.chart_tasks import improvements, profile, profiles, share_above
from zoo.compare.report.chart_verdicts import verdict_chart
from zoo.compare.report.formats import directions
from zoo.compare.report.join_sources import join_runs
from zoo.compare.report.sources import read_source

ARMS = ("plain", "residual")


def runs(task, plain, residual, chance=0.0, higher=True, depth=8):
    """Runs of two arms at one place, a score of each pair."""
    return [
        Run(
            place=f"{task}, depth {depth}", task=task, family=task, depth=depth, settings={},
            arm=arm, pair=pair, seed=pair, id=f"{task} {depth} {arm} {pair}", command="",
            status="done", metric="test/score", higher_is_better=higher, value=value,
            chance=chance, data_digest=task,
        )
        for arm, values in zip(ARMS, (plain, residual), strict=True)
        for pair, value in enumerate(values)
    ]  # fmt: skip


def average(found, references, effects=None):
    """The only average of some runs."""
    declared = Declared(baselines={"residual": "plain"}, effects=effects or {})
    (mean,) = task_averages(place_summaries(found, declared), found, declared.baselines, references)
    return mean


def test_gaps_are_averaged_in_parts_of_the_way_from_chance_to_the_reference():
    found = runs("up", [0.5, 0.5], [0.6, 0.9], chance=0.1)  # of 0.8: 0.125 and 0.5
    found += runs("down", [3.0, 2.0], [2.0, 2.0], chance=4.0, higher=False)  # of 2: 0.5 and 0
    mean = average(found, {"up": 0.9, "down": 2.0})
    assert mean.tasks == ["up", "down"]
    assert mean.gap.value == pytest.approx((0.3125 + 0.25) / 2)
    assert mean.iqm.value == pytest.approx((0.125 + 0.5) / 2)  # of 0, 0.125, 0.5, 0.5
    assert mean.without == {}


def test_every_pair_is_measured_from_the_chance_of_its_own_data():
    """A baseline at chance and an arm at the reference: 0 and 1 in each pair, by definition."""
    chances = [0.477, 0.5, 0.52]
    unlike = [replace(run, chance=chances[run.pair]) for run in runs("unlike", chances, [0.95] * 3)]
    found = unlike + runs("alike", [0.0] * 3, [1.0] * 3)
    references = {"unlike": 0.95, "alike": 1.0}
    mean = average(found, references)
    assert mean.gap.value == mean.iqm.value == pytest.approx(1)
    declared = Declared(
        arms={arm: {} for arm in ARMS}, baselines={"residual": "plain"}, references=references
    )
    places = place_summaries(found, declared)
    scores = scores_by_task(places, found, references)["unlike"]
    assert list(scores["plain"].values()) == pytest.approx([0] * 3)
    assert list(scores["residual"].values()) == pytest.approx([1] * 3)
    record = Record(schema=1, name="", command="", declared=declared, cells=found, places=places)
    gaps = [series.x for series in verdict_chart(record).series if series.kind == "gap"]
    assert gaps == [pytest.approx([1])] * 2
    stake = Pairing.of(unlike, "residual", "plain").stake()
    assert stake == pytest.approx(np.mean([0.95 - chance for chance in chances]))


def test_tasks_of_many_pairs_weigh_as_much_as_the_others():
    found = runs("many", [0.0] * 9, [1.0] * 9) + runs("few", [0.5] * 3, [0.5] * 3)
    mean = average(found, {"many": 1.0, "few": 1.0})
    assert mean.gap.value == pytest.approx(0.5)


def test_opposite_tasks_do_not_hide_behind_a_trimmed_mean_of_arms():
    """The trimmed mean of an arm's scores would leave the one bad task out, and its sign."""
    scores = {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5, "e": 0.45}
    gaps = dict.fromkeys(scores, 0.05) | {"e": -0.44}
    found = []
    for task, score in scores.items():
        found += runs(task, [score] * 8, [score + gaps[task]] * 8)
    mean = average(found, dict.fromkeys(scores, 1.0), dict.fromkeys(scores, 0.01))
    assert mean.gap.value == pytest.approx(np.mean(list(gaps.values())))
    assert mean.gap.high < 0
    plain, residual = ([r.value for r in found if r.arm == arm] for arm in ARMS)
    assert stats.trim_mean(residual, 0.25) > stats.trim_mean(plain, 0.25)
    assert directions(mean) == (
        "median beyond the smallest effect in 4 of 5 tasks (shown in 4), beyond it to the other "
        "side in e (shown in 1)"
    )
    assert mean.without["e"] == pytest.approx(0.05)


def test_directions_are_beyond_the_smallest_effect():
    found = runs("a", [0.5] * 3, [0.6] * 3) + runs("b", [0.5] * 3, [0.505] * 3)
    references = {"a": 1.0, "b": 1.0}
    mean = average(found, references, {"a": 0.01, "b": 0.01})
    beyond = "median beyond the smallest effect in"
    assert directions(mean) == f"{beyond} 1 of 2 tasks (shown in 0), within it in b"
    assert directions(average(found, references)) == f"{beyond} 2 of 2 tasks (shown in 0)"


def test_a_direction_that_no_verdict_shows_is_not_better():
    """Five of eight pairs on one side in each of three tasks: all verdicts are inconclusive."""
    gaps = [0.3] * 5 + [-0.3] * 3
    found = [run for task in "abc" for run in runs(task, [0.0] * 8, gaps, chance=-1.0)]
    references = dict.fromkeys("abc", 1.0)
    assert directions(average(found, references, dict.fromkeys("abc", 0.01))) == (
        "median beyond the smallest effect in 3 of 3 tasks (shown in 0)"
    )


@pytest.mark.parametrize(("pairs", "known"), [(7, False), (8, True)])
def test_an_average_has_an_interval_from_eight_pairs_on(pairs, known):
    found = runs("a", [0.5] * pairs, [0.6] * pairs) + runs("b", [0.5] * 9, [0.7] * 9)
    mean = average(found, {"a": 1.0, "b": 1.0})
    for interval in (mean.gap, mean.iqm, mean.improvement):
        assert (interval.low is not None) == known


def test_what_is_blocked_or_has_no_reference_is_in_no_average():
    found = [run for task in "abcd" for run in runs(task, [0.5] * 3, [0.6] * 3)]
    found = [replace(run, order_digest=run.arm) if run.task == "c" else run for run in found]
    assert average(found, {"a": 1.0, "b": 1.0, "c": 1.0}).tasks == ["a", "b"]


def test_the_probability_of_improvement_counts_all_runs_of_both_arms():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, (2, 3, 7)) / 5  # with ties
    found = [run for t in range(3) for run in runs(f"t{t}", first[t], second[t])]
    mean = average(found, {f"t{t}": 1.0 for t in range(3)})
    by_hand = np.mean(
        [[(b > a) + (a == b) / 2 for a in x for b in y] for x, y in zip(first, second, strict=True)]
    )
    assert mean.improvement.value == pytest.approx(by_hand)
    u = [stats.mannwhitneyu(y, x).statistic / 49 for x, y in zip(first, second, strict=True)]
    assert by_hand == pytest.approx(np.mean(u))  # as rliable computes it


def test_the_mean_gap_of_tasks_has_the_summed_variances_and_the_fewest_freedom():
    rng = np.random.default_rng(0)
    gaps = [rng.normal(size=9), 3 + 2 * rng.normal(size=12)]
    low, high = averages.mean_gap(gaps).low, averages.mean_gap(gaps).high
    error = np.hypot(*(stats.sem(gap) for gap in gaps)) / 2
    assert (high + low) / 2 == pytest.approx((gaps[0].mean() + gaps[1].mean()) / 2)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 8) * error)


def test_the_middle_gap_has_the_error_of_scipys_bootstrap():
    """With a heavy tail, so that the interquartile mean is far from the mean."""
    gaps = np.random.default_rng(0).standard_t(1.2, 24)
    interval = averages.middle_gap([gaps])
    error = stats.bootstrap(
        (gaps,), lambda d, axis: stats.trim_mean(d, 0.25, axis), rng=np.random.default_rng(1),
        method="percentile",
    ).standard_error  # fmt: skip
    assert interval.value == pytest.approx(stats.trim_mean(gaps, 0.25))
    expected = stats.t.ppf(0.975, 23) * error * np.sqrt(24 / 22)
    assert (interval.high - interval.low) / 2 == pytest.approx(expected, rel=0.03)


def test_the_variance_of_a_win_rate_is_that_of_the_jackknife_over_pairs():
    """But for the win and the loss that are added, whose weight vanishes as pairs grow."""
    rng = np.random.default_rng(0)
    both = rng.normal(size=400)
    ours, theirs = both + rng.normal(size=400), both + rng.normal(size=400)
    rate, variance = averages.win_rate(ours, theirs)
    assert rate == stats.mannwhitneyu(ours, theirs).statistic / 400**2
    left = [
        stats.mannwhitneyu(np.delete(ours, i), np.delete(theirs, i)).statistic / 399**2
        for i in range(400)
    ]
    assert variance == pytest.approx(np.var(left) * 399, rel=0.03)


def test_a_rate_of_one_in_eight_pairs_is_not_certain():
    interval = averages.improvement([(np.ones(8), np.zeros(8))] * 2)
    assert (interval.value, interval.high) == (1, 1)
    assert 0.7 < interval.low < 0.9


def test_averages_hold_only_if_no_more_runs_fail_where_that_could_move_them():
    found = runs("a", [0.5] * 8, [0.6] * 8, chance=0.49) + runs("b", [0.5] * 8, [0.6] * 8, 0.49)
    references = {"a": 1.0, "b": 1.0}
    assert average(found, references, {"a": 0.01, "b": 0.01}).failures_matter
    assert not average(found, references, {"a": 0.05, "b": 0.05}).failures_matter


def test_a_profile_is_the_share_of_runs_above_each_threshold():
    rng = np.random.default_rng(0)
    scores = [list(rng.normal(size=n)) for n in (3, 4, 5)]
    x, y = profile(scores)
    for at in [*rng.normal(size=50), *scores[0]]:
        expected = np.mean([np.mean([score > at for score in task]) for task in scores])
        assert share_above(at, x, y) == pytest.approx(expected)
    assert y[0] == 1
    assert y[-1] == 0


def test_the_charts_over_tasks_have_every_arm(tmp_path):
    arms = ["plain", "residual", "rezero"]
    folder = made(tmp_path / "here", arms, [("cnn", 2), ("cnn", 8), ("gnn", 4)], 3)
    source = read_source(folder)
    source.record.cells = join_runs([source])
    record = analysed(source.record, [folder])
    chart = profiles(record)
    assert [s.name for s in chart.series] == arms
    deep = [[run.value for run in record.cells if (run.arm, run.place) == ("plain", place)]
            for place in ("cnn, depth 8", "gnn, depth 4")]  # fmt: skip
    assert chart.series[0].x[0] == pytest.approx((min(map(min, deep)) - 0.1) / 0.9)
    assert chart.series[0].x[-1] == pytest.approx((max(map(max, deep)) - 0.1) / 0.9)
    bars = improvements(record)
    assert [(s.name, s.x) for s in bars.series] == [
        (mean.arm, [mean.improvement.value]) for mean in record.overall
    ]
    assert [mean.arm for mean in record.overall] == arms[1:]
