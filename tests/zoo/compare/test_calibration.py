"""How often what is claimed is false, by simulation or exactly.

    python -m pytest -n 0 -m slow -k calibration tests/zoo/compare \\
        --junitxml=calibration.xml -o junit_family=xunit1

takes about ten minutes; the rates stand in the XML file as properties. A rate of 5 % is nominal.
Asked is that none exceeds 6 % by more than two standard errors of its own simulation (1.1 % of
2000 comparisons, 2.1 % of 500). Seeds are fixed. `test_calibration_intervals.py` is on coverage.
"""

import itertools

import numpy as np
import pytest
from worlds import ARMS, CHANCE, DELTA, DIFFERENCES, EQUAL_MEANS

from zoo.compare.analysis import signs
from zoo.compare.analysis.analyse import place_summaries
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.record import Declared
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.signs import ALPHA
from zoo.compare.analysis.slopes import growth_of_gaps
from zoo.compare.analysis.verdict import EXPLORING, corrected, needed

pytestmark = pytest.mark.slow
ROUNDS, LIMIT = 2000, 0.06
TESTS = {"fixed": signs.fixed_p, "auto": signs.anytime_p}


def at_most(rate, rounds, limit=LIMIT):
    """Whether a rate is no more than a limit, as far as its simulation can tell."""
    return rate <= limit + 2 * np.sqrt(limit * (1 - limit) / rounds)


def said(differences, test, untrained=()):
    """The kinds of claims that a family of hypotheses makes at its end, or made at any look.

    The p of `auto` never rise from look to look, so that the last look has every claim.
    """
    family = [
        Evidence("a", "b", list(d), len(d), delta=DELTA, test=test, untrained=failed)
        for d, failed in itertools.zip_longest(differences, untrained, fillvalue=())
    ]
    claims = set()
    for e, p in zip(family, corrected(family), strict=True):
        kinds = {"better": p.beyond, "equal": p.equivalent, "fails": p.failures}
        kinds["different"] = min(p.beyond, p.ahead)
        claims |= {name for name, p in kinds.items() if p <= ALPHA} if len(e.differences) else set()
    return claims


def rates(draw, test, rounds=ROUNDS):
    """For each kind of claim the rate of comparisons that make it."""
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(("better", "different", "equal", "fails"), 0)
    for _ in range(rounds):
        for kind in said(draw(rng), test):
            counts[kind] += 1
    return {kind: count / rounds for kind, count in counts.items()}


FIXED = [("fixed", pairs, tasks) for pairs in (8, 12, 20) for tasks in (1, 5)]
HOW = [*FIXED, ("auto", 26, 1), ("auto", 32, 5)]


@pytest.mark.parametrize(("how", "pairs", "tasks"), HOW)
@pytest.mark.parametrize("name", DIFFERENCES)
def test_no_difference_is_called_one(name, how, pairs, tasks, record_property):
    rounds = ROUNDS if how == "fixed" else ROUNDS // 2
    claimed = rates(lambda rng: DIFFERENCES[name](rng, (tasks, pairs)), TESTS[how], rounds)
    record_property("different", claimed["different"])
    assert at_most(claimed["different"], rounds)


@pytest.mark.parametrize(("how", "pairs", "tasks"), HOW)
@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_of_delta_is_neither_better_nor_equal(
    name, how, pairs, tasks, record_property
):
    rounds = ROUNDS if how == "fixed" else ROUNDS // 2
    for shift in (-DELTA, DELTA):
        draw = lambda rng, by=shift: DIFFERENCES[name](rng, (tasks, pairs)) + by  # noqa: E731
        claimed = rates(draw, TESTS[how], rounds // 2)
        for kind in ("better", "equal"):
            record_property(kind, claimed[kind])
            assert at_most(claimed[kind], rounds // 2)


@pytest.mark.parametrize(("how", "pairs"), [("fixed", 8), ("fixed", 12), ("auto", 29)])
@pytest.mark.parametrize("name", ARMS)
def test_three_arms_against_one_baseline(name, how, pairs, record_property):
    def draw(rng):
        arms = ARMS[name](rng, (4, pairs))
        return arms[1:] - arms[0]

    claimed = rates(draw, TESTS[how], ROUNDS // 2)
    record_property("different", claimed["different"])
    assert at_most(claimed["different"], ROUNDS // 2)


@pytest.mark.parametrize(("how", "pairs", "tasks"), HOW)
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_arms_that_fail_equally_often(rate, how, pairs, tasks, record_property):
    rng = np.random.default_rng(1)
    count = 0
    for _ in range(ROUNDS):
        untrained = [list(map(tuple, rng.random((pairs, 2)) < rate)) for _ in range(tasks)]
        count += "fails" in said([[0.0]] * tasks, TESTS[how], untrained)
    record_property("fails", count / ROUNDS)
    assert at_most(count / ROUNDS, ROUNDS)


@pytest.mark.parametrize("pairs", [8, 12, 20])
@pytest.mark.parametrize("tasks", [1, 5])
@pytest.mark.parametrize("name", EQUAL_MEANS)
def test_equal_means_are_no_equal_medians(name, tasks, pairs, record_property):
    """Here "better" is true, since it is said of the median; the wrong side must not be."""
    world, wrong = EQUAL_MEANS[name], 0
    above = float(np.sign(np.median(world(np.random.default_rng(1), 100_000))))
    rng, right = np.random.default_rng(0), 0
    for _ in range(ROUNDS):
        family = [
            Evidence("a", "b", list(d), pairs, delta=0.1)
            for d in world(rng, (tasks, pairs)) * above
        ]
        claims = [
            e.leader(e.delta)
            for e, p in zip(family, corrected(family), strict=True)
            if p.beyond <= ALPHA
        ]
        right, wrong = right + ("a" in claims), wrong + ("b" in claims)
    record_property("true of the median", right / ROUNDS)
    record_property("wrong side", wrong / ROUNDS)
    assert at_most(wrong / ROUNDS, ROUNDS, ALPHA / 2)


def runs_of(scores, depths, fails=()):
    """The runs of a report: `scores[task, depth, arm, pair]`; those at chance failed to train."""
    return [
        Run(
            place=f"{task}, {depth}", task="t", family=f"{task}", depth=depths[depth], settings={},
            arm="abcd"[arm], pair=pair, seed=pair, id="", command="", status="done", chance=CHANCE,
            value=float(value), higher_is_better=True, data_digest="d",
        )
        for (task, depth, arm, pair), value in np.ndenumerate(scores)
    ]  # fmt: skip


def false_claims(scores, how, real=frozenset()):
    """The kinds of claims of a report that are false, none of whose gaps or slopes is real.

    Args:
        scores: `[tasks, depths, arms, pairs]`.
        how: the comparison ends.
        real: indices of depths at which gaps are real, and claims of them true.
    """
    depths = (2, 8)
    baselines = dict.fromkeys("bcd"[: scores.shape[2] - 1], "a")
    declared = Declared(baselines=baselines, effects={"t": DELTA}, test=how)
    places = place_summaries(runs_of(scores, depths), declared)
    contrasts = [c for p in places if depths.index(p.depth) not in real for c in p.contrasts]
    kinds = {"exploratory" if c.exploratory else "primary" for c in contrasts if c.differs}
    kinds |= {"fails" for c in contrasts if "more often" in c.failures}
    slopes = growth_of_gaps(places, baselines, TESTS[how])
    kinds |= {"slope" for s in slopes if "with depth" in s.verdict}
    return kinds | {"reverses" for s in slopes if "reverses with depth" in s.verdict}


REPORTS = [("fixed", 8, 2), ("fixed", 12, 2), ("fixed", 20, 2), ("auto", 32, 2), ("fixed", 12, 4)]


@pytest.mark.parametrize(("how", "pairs", "arms"), REPORTS)
@pytest.mark.parametrize("name", ["normal", "log-normal", "ties", "all arms fail in 10 %"])
def test_a_whole_null_report(name, how, pairs, arms, record_property):
    """Five tasks at two depths: no gap, no slope, no difference in failures is real."""
    rng, rounds = np.random.default_rng(0), ROUNDS // 4 if how == "fixed" else ROUNDS // 8
    found = [false_claims(ARMS[name](rng, (5, 2, arms, pairs)), how) for _ in range(rounds)]
    for kind in ("primary", "exploratory", "slope", "fails"):
        record_property(kind, sum(kind in claims for claims in found) / rounds)
    rate = sum(map(bool, found)) / rounds
    record_property("any", rate)
    assert at_most(rate, rounds)


@pytest.mark.parametrize("pairs", [12, 20])
@pytest.mark.parametrize("real", [{0, 1}, {1}])
def test_a_report_of_real_gaps(real, pairs, record_property):
    """Where gaps are real at both depths no slope is, and where the deep ones are no other gap.

    A gap that is not there where it is shallow cannot reverse, which takes two claims.
    """
    rng, rounds = np.random.default_rng(0), ROUNDS // 4
    false = {"slope"} if real == {0, 1} else {"exploratory", "reverses"}
    counts = dict.fromkeys(false, 0)
    for _ in range(rounds):
        scores = rng.normal(size=(5, 2, 2, pairs))
        for depth in real:
            scores[:, depth, 1] += 5
        for kind in false & false_claims(scores, "fixed", real):
            counts[kind] += 1
    for kind, count in counts.items():
        record_property(kind, count / rounds)
        assert at_most(count / rounds, rounds)


def error(pairs, hypotheses, test, share=1.0):
    """The probability of a claim where none is true, both sides are equally likely, pairs tell."""
    if not hypotheses or pairs < needed(hypotheses, test, share):
        return 0.0
    one = signs.power(pairs, hypotheses / share, 0.0, test)
    return 1 - (1 - (2 if test is signs.fixed_p else 1) * one) ** hypotheses


@pytest.mark.parametrize(("tasks", "depths"), [(1, 1), (1, 2), (1, 3), (5, 2), (5, 3), (12, 2)])
@pytest.mark.parametrize("how", TESTS)
def test_no_number_of_pairs_errs_more_by_the_binomial_distribution(
    how, tasks, depths, record_property
):
    """Exactly, of independent gaps: primary and exploratory ones together, for up to 99 pairs."""
    test, shallow = TESTS[how], tasks * (depths - 1)
    every = [
        1 - (1 - error(n, tasks, test)) * (1 - error(n, shallow, test, EXPLORING))
        for n in (range(8, 100) if how == "fixed" else (8, 32, 99))
    ]
    record_property("largest", max(every))
    assert max(every) <= LIMIT


@pytest.mark.parametrize(("tasks", "pairs"), [(1, 17), (5, 24)])
def test_an_effect_of_one_standard_deviation_beyond_delta_is_found(tasks, pairs, record_property):
    rng = np.random.default_rng(0)
    families = rng.normal(DELTA + 1, 1, (ROUNDS, tasks, pairs))
    hits = np.mean(
        [
            corrected([Evidence("a", "b", list(d), pairs, delta=DELTA) for d in family])[0].beyond
            <= ALPHA
            for family in families
        ]
    )
    record_property("power", float(hits))
    assert hits >= 0.78
