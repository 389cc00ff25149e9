"""How long the runs that are left will take, from estimates that finished runs correct."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median, median_low
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.compare.execution.schedule import Tally

NEARLY = 0.9  # the most of a run that counts as over while it runs


def seconds_left(tally: Tally, elapsed: float, now: float) -> float | None:
    """The seconds that the runs that are left will take; None before any has ended.

    A run takes as long as those of its kind did. One whose kind has not ended yet takes its
    estimate, which covers the steps of training alone, times what other kinds took of theirs. As
    many runs as went on at once, on average, will go on at once.

    Args:
        tally: of the runs.
        elapsed: seconds since they began.
        now: in seconds of the monotonic clock.
    """
    took = {kind: median_low(seconds) for kind, seconds in tally.took.items()}
    if not took:
        return None
    ratio = ratio_of(took, {job.kind: job.estimate for job in tally.jobs.values()})
    usual = median(took.values())
    whole = {
        cell: took.get(job.kind, usual if job.estimate is None else ratio * job.estimate)
        for cell, job in tally.jobs.items()
    }
    running = [(job, now - job.began) for job in tally.left if job.began is not None]
    busy = tally.busy + sum(seconds for _, seconds in running)
    busy += sum(whole[cell] for cell in tally.elsewhere)
    left = sum(whole[job.cell] for job in tally.left)
    left -= sum(min(seconds, NEARLY * whole[job.cell]) for job, seconds in running)
    return elapsed * left / busy if busy else None


def ratio_of(took: Mapping[str, float], estimates: Mapping[str, float | None]) -> float:
    """What runs took over what was estimated of them; 1 where nothing was.

    Args:
        took: seconds by kind.
        estimates: seconds by kind.
    """
    known = {kind: seconds for kind in took if (seconds := estimates.get(kind))}
    return sum(took[kind] for kind in known) / sum(known.values()) if known else 1.0
