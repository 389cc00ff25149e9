"""The verb `compare` with `dry_run=true`: what it would run, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.verdict import needed
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.progress import duration
from zoo.compare.execution.schedule import Job
from zoo.compare.execution.store import Store
from zoo.report import Report


def listing(
    runs: Sequence[Run],
    jobs: Sequence[Job],
    failed: Mapping[str, str],
    store: Store,
    engine: Engine,
    hypotheses: int,
) -> Report:
    """A list of the runs with the estimated time of each.

    Args:
        runs: of the comparison.
        jobs: of the runs that can begin.
        failed: for each other run why it cannot, by its address.
        store: that holds the finished runs.
        engine: that would run the others.
        hypotheses: number of those that are corrected for each other.
    """
    lines: list[str] = []
    left: list[float | None] = []
    estimates = {job.cell: job.estimate for job in jobs}
    for run in runs:
        done = store.is_finished(run.id)
        estimate = estimates.get(run.id, 0.0)
        left += [] if done else [estimate]
        state = failed.get(run.id) or ("done" if done else about(estimate))
        lines.append(f"{run.place:<24} {run.arm:<16} pair {run.pair:<4} {state}")
    known = [seconds for seconds in left if seconds is not None]
    seconds = sum(known) if len(known) == len(left) else None
    time = about(None if seconds is None else seconds / engine.free)
    lines.append(f"{len(runs)} runs on {engine.free} workers, {time} for training alone")
    lines.append(f"a verdict of the deepest places needs {needed(hypotheses)} pairs")
    record = {"cells": [run.planned() for run in runs], "seconds": seconds}
    return Report(record, "\n".join(lines))


def about(seconds: float | None) -> str:
    """An estimate in words; None is not known."""
    return "time not known" if seconds is None else f"about {duration(seconds)}"
