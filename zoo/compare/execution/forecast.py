"""How long the runs that are left will take, from estimates that finished runs correct."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.compare.execution.schedule import Job, Tally

NEARLY = 0.9  # the most of a run that counts as over while it runs


def seconds_left(tally: Tally, elapsed: float, now: float) -> float | None:
    """The seconds that the runs that are left will take; None before the first one has ended.

    A run takes as long as those of its kind did. One whose kind has not ended yet takes its
    estimate, which covers the steps of training alone, times what other kinds took of theirs. How
    many runs go on at once, and what passes between them, is in the time that has passed.

    Args:
        tally: of the runs.
        elapsed: seconds since they began.
        now: in seconds of the monotonic clock.
    """
    took = {kind: median(seconds) for kind, seconds in tally.took.items()}
    if not took:
        return None
    ratio = ratio_of(took, {job.kind: job.estimate for job in tally.jobs.values()})
    usual = median(took.values())
    whole = {
        cell: took.get(job.kind, usual if job.estimate is None else ratio * job.estimate)
        for cell, job in tally.jobs.items()
    }
    over = sum(
        whole[cell] if cell in tally.ended else part_of(job, whole[cell], now)
        for cell, job in tally.jobs.items()
    )
    return elapsed * (sum(whole.values()) - over) / over if over else None


def ratio_of(took: Mapping[str, float], estimates: Mapping[str, float | None]) -> float:
    """What runs took over what was estimated of them.

    Args:
        took: seconds by kind.
        estimates: seconds by kind.
    """
    known = {kind: estimates[kind] or 0.0 for kind in took}
    estimated = sum(known.values())
    return sum(took[kind] for kind in known if known[kind]) / estimated if estimated else 1.0


def part_of(job: Job, whole: float, now: float) -> float:
    """The seconds of a run that are over."""
    return 0.0 if job.began is None else min(now - job.began, NEARLY * whole)
