"""Verdicts are computed: words for planted differences, and how often they are wrong."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from zoo.compare.analysis import signs
from zoo.compare.analysis.analyse import place_summaries
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.record import Declared
from zoo.compare.analysis.results import Result, with_result
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.slopes import growth_of_gaps
from zoo.compare.analysis.statistics import holm
from zoo.compare.analysis.verdict import at_best, corrected, failures, slope_verdict, verdict
from zoo.compare.typed import typed


def evidence(differences, **given):
    given = {"launched": len(differences), "delta": 0.01, **given}
    return Evidence("residual", "plain", differences, **given)


def words(differences, hypotheses=1, **given):
    """The verdict on differences among other hypotheses that show nothing."""
    family = [evidence(differences, **given)]
    family += [evidence([1.0, -1.0] * 4)] * (hypotheses - 1)
    return verdict(family[0], corrected(family)[0])


def spread(mean, pairs=8, size=0.02):
    """Differences as a normal distribution has them, about a mean."""
    return [float(mean + size * norm.ppf((i + 0.5) / pairs)) for i in range(pairs)]


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([0.1, 0.2, 0.3], "residual ahead in 3 of 3"),
        ([-0.1, 0.05, -0.3], "plain ahead in 2 of 3"),
        ([-0.1, 0.0, 0.3], "no direction in 3 pairs"),
        ([0.0], "the same in 1 of 1"),
        ([0.0, 0.0], "the same in 2 of 2"),
        ([0.0, 0.1], "no direction in 2 pairs"),
        ([0.0, 0.1, 0.0], "the same in 2 of 3"),
        (spread(0.3, 5), "residual ahead in 5 of 5"),
        (spread(0.3), "residual better"),
        (spread(-0.3), "plain better"),
        ([*spread(0.3, 7), -9.0], "inconclusive"),
        ([*spread(0.3, 11), -9.0], "residual better"),
        (spread(0.001, size=0.005), "equivalent, within 0.01"),
        (spread(0.012, size=0.005), "residual ahead, not shown beyond 0.01"),
        (spread(0.03, size=0.05), "inconclusive"),
        ([0.0] * 8, "the same in 8 of 8"),
    ],
)
def test_words(differences, said):
    assert words(differences) == said


def test_what_blocks_a_verdict():
    assert words(spread(0.3), launched=10) == "blocked: 2 of 10 pairs are missing"
    assert words(spread(0.3, 19), launched=20) == "residual better"
    assert words(spread(0.3), unequal="the arms differ") == "blocked: the arms differ"
    assert words([], launched=8) == "blocked: no pair has ended"
    lost = [(True, True)] * 8
    assert words([0.0] * 8, untrained=lost) == "blocked: every run failed to train"


def test_a_claim_is_about_the_side_that_the_test_is_about():
    """A bet that was won is not lost by what comes later, though the median moves to the side."""
    turned = [0.3] * 9 + [-0.3] * 10
    assert np.median(turned) < 0
    assert words(turned, test=signs.anytime_p) == "residual better"
    assert words([-d for d in turned], test=signs.anytime_p) == "plain better"
    within = [0.005, 0.02] * 5 + [-0.005, -0.02] * 6
    assert words(within, test=signs.anytime_p) == "residual ahead, not shown beyond 0.01"


def test_many_hypotheses_want_more_pairs():
    assert words(spread(0.3), hypotheses=6) == "residual better"
    assert words(spread(0.3), hypotheses=10) == "residual ahead in 8 of 8"
    assert words(spread(0.3, 9), hypotheses=10) == "residual better"
    assert words(spread(0.3, 9), test=signs.anytime_p, hypotheses=5) == "residual ahead in 9 of 9"
    assert words(spread(0.3, 10), test=signs.anytime_p, hypotheses=5) == "residual better"


def test_a_deviation_that_does_not_matter_is_no_difference():
    assert words([0, 0, 0, 0, 0, 1 / 360, 0, 0]) == "equivalent, within 0.01"


def test_equal_is_not_said_where_failures_are_not_excluded():
    """With none in 8 runs up to 31 % are not: of a stake of 0.5 that is far above 0.01."""
    kept = [(False, False)] * 8
    assert words([0.0] * 7 + [1e-3], untrained=kept, stake=0.01) == "equivalent, within 0.01"
    said = words([0.0] * 7 + [1e-3], untrained=kept, stake=0.5)
    assert said == "alike in most pairs, within 0.01"


def test_runs_that_fail_to_train_have_words_of_their_own():
    def said(ours, theirs, n=8):
        lost = [(i < ours, i < theirs) for i in range(n)]
        e = evidence(spread(0.3, n), untrained=lost)
        return failures(e, corrected([e])[0])

    assert said(0, 0) == "residual 0 of 8 (up to 31 %), plain 0 of 8 (up to 31 %)"
    assert said(0, 5).startswith("residual 0 of 8 (up to 31 %), plain 5 of 8")
    assert said(0, 6).startswith("plain fails to train more often: residual 0 of 8")
    assert said(7, 0).startswith("residual fails to train more often: residual 7 of 8")
    early = evidence(spread(0.3), untrained=[(False, True)] * 8, waiting=9)
    assert failures(early, corrected([early])[0]).startswith("residual 0 of 8")  # 17 are planned


@pytest.mark.fault(39)
def test_few_pairs_show_no_interval():
    found = rows([[0.5] * 4, [0.4] * 4], [[0.9] * 4, [0.8] * 4])
    gaps = [c.gap for p in places(found) for c in p.contrasts]
    assert {gap.low for gap in [*gaps, slopes_of(found)[0].slope]} == {None}


@pytest.mark.parametrize(
    ("slopes", "leads", "said"),
    [
        ([0.0, 0.0, 0.0], (0, 0), "the same at every depth in 3 of 3"),
        ([0.1], (0, 0), "rises in 1 of 1"),
        ([-0.1, -0.2, -0.3], (0, 0), "falls in 3 of 3"),
        ([1.0, 0.0, -0.2], (0, 0), "no direction in 3 pairs"),
        (spread(0.1), (1, 1), "grows with depth"),
        (spread(0.1), (0, 1), "grows with depth"),
        (spread(-0.1), (0, -1), "grows with depth"),
        (spread(0.1), (-1, -1), "closes with depth"),
        (spread(0.1), (-1, 0), "closes with depth"),
        (spread(-0.1), (1, 0), "closes with depth"),
        (spread(0.1), (-1, 1), "reverses with depth"),
        (spread(-0.1), (1, -1), "reverses with depth"),
        (spread(0.1), (1, 0), "rises with depth"),
        (spread(0.1), (0, -1), "rises with depth"),
        (spread(-0.1), (0, 1), "falls with depth"),
        (
            spread(0.012, size=0.005),
            (0, 1),
            "grows with depth, not shown beyond 0.01 a doubling",
        ),
        (spread(0.0, size=0.003), (1, 1), "the same at every depth, within 0.01 a doubling"),
        (spread(0.02, size=0.1), (0, 1), "inconclusive"),
    ],
)
def test_slopes(slopes, leads, said):
    e = evidence(slopes)
    assert slope_verdict(e, corrected([e])[0], *leads) == said


def test_a_gap_reverses_only_where_both_ends_are_claimed():
    """Nine of ten shallow pairs below 0 make no exploratory claim of two, ten of ten do."""
    for last, said in ((0.05, "grows with depth"), (-0.05, "reverses with depth")):
        shallow, deep = np.asarray(spread(0.5, 10)), np.asarray(spread(0.3, 10))
        found = rows([shallow, deep], [np.add(shallow, [-0.05] * 9 + [last]), deep + 0.3])
        gap = places(found)[0].contrasts[0].gap
        assert gap.high < 0
        (slope,) = slopes_of(found)
        assert slope.verdict == said


def test_a_slope_without_a_gap_is_no_claim():
    e = evidence(spread(0.1))
    assert slope_verdict(e, corrected([e])[0], 0, 0) == "inconclusive"
    same = evidence(spread(0.0, size=0.003))
    said = slope_verdict(same, corrected([same])[0], 0, 0)
    assert said == "the same at every depth, within 0.01 a doubling"


def result(value, status="done", **given):
    return {
        "status": status,
        "metrics": {"train/accuracy": value, "test/accuracy_at_best_val": value},
        "examples": {"train": 900, "val": 100, "test": 100},
        "chance": {"test/accuracy": 0.1},
        "primary": {"name": "test/accuracy", "value": value, "higher_is_better": True},
        "parameters": 100,
        "steps": 5,
        "seconds": 1.0,
        "seconds_per_step": 0.1,
        "peak_memory_bytes": 1,
        "branch_digest": "b",
        "start_digest": "s",
        "order_digest": "o",
        "data_digest": "d",
        "versions": {},
        "machine": {},
        **given,
    }


def rows(plain, residual, depths=(8, 56), **given):
    """Rows of two arms: `plain[depth][pair]` are scores."""
    found = []
    for depth, *both in zip(depths, plain, residual, strict=True):
        for arm, values in zip(("plain", "residual"), both, strict=True):
            for pair, value in enumerate(values):
                run = Run(
                    place=f"cnn, depth {depth}", task="cnn", family="cnn", depth=depth, settings={},
                    arm=arm, pair=pair, seed=pair, id=f"{depth} {arm} {pair}", flops=10, command="",
                )  # fmt: skip
                status = "diverged" if value is None else "done"
                found.append(with_result(run, typed(Result, result(value, status, **given))))
    return found


def declared(**given):
    known = {
        "arms": {arm: {"connection": arm} for arm in ("plain", "residual")},
        "baselines": {"residual": "plain"},
        "effects": {"cnn": 0.01},
        "references": {"cnn": 1.0},
    }
    return Declared(**known | given)


def places(found, **given):
    return place_summaries(found, declared(**given))


def contrast_of(found, **given):
    """The only contrast at the only place."""
    (place,) = places(found, **given)
    (contrast,) = place.contrasts
    return contrast


def slopes_of(found):
    return growth_of_gaps(places(found), declared().baselines)


def test_a_planted_gap_is_found_and_its_growth():
    shallow = [0.9 + 0.001 * i for i in range(8)]
    deep = [0.3 + 0.02 * (i % 3) for i in range(8)]
    found = rows([shallow, deep], [[v + 0.002 for v in shallow], shallow])
    first, second = (place.contrasts[0] for place in places(found))
    assert first.verdict == "alike in most pairs, within 0.01 (exploratory)"
    assert second.verdict == "residual better"
    assert second.gap.value == pytest.approx(np.median(np.subtract(shallow, deep)))
    assert second.mean == pytest.approx(np.mean(shallow) - np.mean(deep))
    (slope,) = slopes_of(found)
    assert slope.verdict == "grows with depth"
    doublings = np.log2(56 / 8)
    expected = (second.gap.value - first.gap.value) / doublings
    assert slope.slope.value == pytest.approx(expected)


def test_a_run_that_diverged_counts_as_chance():
    scores = [0.9] * 7
    found = rows([[*scores, None]], [[0.91] * 8], depths=(8,))
    contrast = contrast_of(found)
    assert contrast.differences[-1] == pytest.approx(0.81)
    assert contrast.diverged == [0, 1]
    assert contrast.untrained == [0, 1]
    assert places(found)[0].arms[0].diverged == 1
    secondary = contrast.secondary
    assert secondary["finished_only"].value == pytest.approx(0.01)
    assert secondary["finished_only"].pairs == secondary["training"].pairs == 7
    assert secondary["best_on_validation"].value == contrast.gap.value


@pytest.mark.parametrize("arm", [0, 1])
def test_a_run_that_diverged_without_a_known_chance_is_not_left_out(arm):
    """Two of 24 pairs, whichever arm diverged: what is left would be a claim."""
    scores = [[[0.5] * 24], [[0.9] * 24]]
    scores[arm] = [[*scores[arm][0][:22], None, None]]
    found = rows(*scores, depths=(8,), chance={})
    assert contrast_of(found).verdict == (
        "blocked: 2 of 24 pairs diverged, and chance is not known"
    )
    assert contrast_of([row for row in found if row.pair < 22]).verdict == "residual better"


def test_the_best_step_on_validation_is_a_second_view():
    found = rows([[0.5] * 3], [[0.9] * 3], depths=(8,))
    for row in found:
        row.best = 0.95 if row.arm == "plain" else 0.9
    contrast = contrast_of(found)
    assert contrast.gap.value == pytest.approx(0.4)
    assert contrast.secondary["best_on_validation"].value == pytest.approx(-0.05)
    assert contrast.secondary["finished_only"] is None


def test_growth_of_several_families_is_corrected_together():
    found = []
    for family, gain in (("one", 0.1), ("two", 0.02)):
        deep = [0.6 + gain * (1 if pair else -1) * (pair + 1) for pair in range(4)]
        for row in rows([[0.5] * 4, [0.5] * 4], [[0.6] * 4, deep]):
            place = f"{family}, {row.depth}"
            found.append(replace(row, family=family, place=place))
    slopes = slopes_of(found)
    raw = [slope.beyond_p for slope in slopes]
    assert len(raw) == 2
    assert raw[0] < 1
    assert [slope.holm_p for slope in slopes] == pytest.approx(holm(raw))
    assert slopes[0].holm_p > raw[0]


@pytest.mark.parametrize("key", ["branch_digest", "start_digest"])
def test_arms_that_did_not_start_equal_are_refused(key):
    found = rows([[0.5] * 8], [[0.9] * 8], depths=(8,))
    setattr(found[-1], key, "other")
    contrast = contrast_of(found)
    assert contrast.verdict.startswith("blocked: the arms start from")
    contrast = contrast_of(found, null=True)
    assert "blocked" not in contrast.verdict
    arms = {"plain": {"connection": "plain"}, "residual": {"connection": "residual", "norm": "pre"}}
    (place,) = places(found, arms=arms)
    assert "blocked" not in place.contrasts[0].verdict
    assert place.contrasts[0].warnings == ["different branches at the start"]


def test_pairs_that_read_different_data_are_no_sample():
    found = rows([[0.5] * 8], [[0.9] * 8], depths=(8,))
    for row in found:
        row.data_digest = "d" if row.pair < 3 else "e"
    contrast = contrast_of(found)
    assert contrast.verdict == "blocked: the pairs read different data"


@pytest.mark.parametrize(
    ("last", "best", "said"),
    [
        ([0.3] * 8, [0.3] * 8, ""),
        ([0.3] * 8, [0.003] * 8, "equivalent, within 0.01"),
        ([0.3] * 8, [-0.3] * 8, "plain better"),
        ([0.3] * 8, [0.3] * 5 + [-0.3] * 3, "inconclusive"),
        ([0.242] * 3, [0.003] * 3, "residual ahead in 3 of 3"),  # no longer beyond the effect
        ([0.3] * 3, [0.3, 0.3, -0.3], ""),  # the same direction
        ([0.3] * 3, [], ""),  # older runs have no best step
    ],
)
def test_a_verdict_that_the_best_step_changes_is_known(last, best, said):
    family = [evidence(last, at_best=best)]
    assert at_best(family) == [said]


def test_a_lower_loss_is_a_positive_gap():
    found = rows([[2.0] * 3], [[1.5] * 3], depths=(8,))
    for row in found:
        row.higher_is_better = False
    assert contrast_of(found).gap.value == pytest.approx(0.5)


def test_a_pair_whose_run_failed_is_left_out_as_a_pair():
    found = rows([[0.5] * 3], [[0.9] * 3], depths=(8,))
    found[0] = Run(**found[0].planned(), status="failed", reason="it was lost")
    contrast = contrast_of(found)
    assert contrast.seeds == [1, 2]
    assert contrast.verdict == "blocked: 1 of 3 pairs are missing"


@pytest.mark.parametrize(
    ("field", "other", "said"),
    [
        ("parameters", 103, ["1.03 times the parameters"]),
        ("parameters", 102, []),
        ("flops", 9, ["0.90 times the FLOPs"]),
        ("steps", 50, ["0.50 times the steps"]),
        ("seconds_per_step", 0.12, ["1.20 times the time a step"]),
        ("seconds_per_step", 0.109, []),
    ],
)
def test_arms_that_differ_in_budget_size_or_time_are_a_warning(field, other, said):
    found = rows([[0.5] * 3], [[0.9] * 3], depths=(8,))
    for row in found:
        row.steps = 100
    for row in found[3:]:
        setattr(row, field, other)
    assert contrast_of(found).warnings == said


def test_times_of_runs_that_shared_a_worker_with_others_are_not_compared():
    found = rows([[0.5] * 3], [[0.9] * 3], depths=(8,))
    for row in found[3:]:
        row.seconds_per_step, row.together = 0.03, 3
    assert contrast_of(found).warnings == []
    for row in found[:3]:
        row.together = 3
    assert contrast_of(found).warnings == ["0.30 times the time a step"]


def test_arms_that_are_the_same_runs_are_a_warning():
    found = rows([[0.5] * 3], [[0.5] * 3], depths=(8,))
    for row in found:
        row.id = str(row.pair)
    assert contrast_of(found).warnings == ["the same runs"]


def test_who_is_ahead_is_corrected_with_the_others():
    """Eight of nine pairs have p = 20 / 512, which five hypotheses do not allow."""
    nine = [*spread(0.012, size=0.005), -0.02]
    assert words(nine, hypotheses=1) == "residual ahead, not shown beyond 0.01"
    assert words(nine, hypotheses=5) == "inconclusive"
