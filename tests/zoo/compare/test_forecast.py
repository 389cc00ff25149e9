"""The time that is left, in comparisons whose runs take other times than was estimated."""

import heapq
import random

import pytest

from zoo.compare.execution.forecast import seconds_left
from zoo.compare.execution.job import Job
from zoo.compare.execution.schedule import Tally

SHORT = [0.1 * k for k in range(1, 21)]
MIXED = [40, 33, 20, 17, 12, 9, 6, 5, 3, 2, 1.5, 1.2, 0.8, 0.8, 0.4, 0.3, 0.2, 0.2, 0.1, 0.1]


def simulated(estimates, seconds, pairs, workers, start=0.0, took=()):
    """After each run that ends the time left as it is said, and as it is.

    Args:
        estimates: of each kind.
        seconds: that a run of an estimate takes.
        pairs: of every kind.
        workers: that run at once.
        start: seconds that each worker takes to start.
        took: seconds of each kind that an earlier process left.
    """
    jobs = [
        Job(f"{kind} {pair}", {}, f"{kind}", pair, estimate)
        for pair in range(pairs)
        for kind, estimate in enumerate(estimates)
    ]
    tally = Tally(len(jobs), {job.cell: job for job in jobs})
    tally.took = {f"{kind}": [seconds] for kind, seconds in enumerate(took)}
    waiting, running, now = tally.left, [], 0.0
    said, times = [], []
    while waiting or running:
        while waiting and len(running) < workers:
            job = waiting.pop(0)
            job.began = now
            cold = start if now == 0 else 0.0
            heapq.heappush(running, (now + cold + seconds(job.estimate), job.cell))
        now, cell = heapq.heappop(running)
        job = tally.jobs[cell]
        tally.took.setdefault(job.kind, []).append(now - job.began)
        tally.busy += now - job.began
        job.began = None
        tally.ended.add(cell)
        said.append(seconds_left(tally, now, now))
        times.append(now)
    return [(words, now - time) for words, time in zip(said, times, strict=True)]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("pairs", [3, 8])
@pytest.mark.parametrize("estimates", [SHORT, MIXED], ids=["short", "mixed"])
@pytest.mark.parametrize(
    "seconds",
    [lambda e: e, lambda e: 3 * e, lambda e: 1.2 * e + 2, lambda e: 0.5 * e + 0.5],
    ids=["as estimated", "slower", "set-up and evaluation", "faster"],
)
def test_from_a_fifth_of_the_runs_on_it_is_right_within_a_factor_of_1_5(
    seconds, estimates, pairs, workers
):
    draws = random.Random(0)
    said = simulated(estimates, lambda e: seconds(e) * draws.uniform(0.8, 1.2), pairs, workers)
    longest = 1.2 * seconds(max(estimates))
    ratios = [words / left for words, left in said[len(said) // 5 :] if left > longest]
    assert ratios
    assert max(ratios) < 1.5
    assert min(ratios) > 1 / 1.5


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_start_slowly_do_not_mislead_a_comparison_that_goes_on(workers):
    took = [e + 1 for e in SHORT]
    said = simulated(SHORT, lambda e: e + 1, 3, workers, 30.0, took)
    ratios = [words / left for words, left in said[workers:-workers]]
    assert max(ratios) < 1.5
    assert min(ratios) > 1 / 1.5


def test_before_the_first_run_has_ended_nothing_is_said():
    jobs = {"a": Job("a", {}, "k", 0, 5.0, began=0.0)}
    assert seconds_left(Tally(1, jobs), 3.0, 3.0) is None


def test_a_kind_of_which_no_run_is_left_tells_nothing_of_the_others():
    tally = Tally(3, {"a": Job("a", {}, "new", 0, 5.0, began=0.0)}, took={"ended": [2.0, 2.0]})
    assert seconds_left(tally, 1.0, 1.0) == pytest.approx(5.0 - 1.0)
