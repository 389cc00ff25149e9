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
    lines, left = [], 0.0
    estimates = {job.cell: job.estimate for job in jobs}
    for run in runs:
        done = store.is_finished(run.id)
        estimate = estimates.get(run.id, 0.0)
        left += 0 if done else estimate
        state = failed.get(run.id) or ("done" if done else f"about {duration(estimate)}")
        lines.append(f"{run.place:<24} {run.arm:<16} pair {run.pair:<4} {state}")
    lines.append(
        f"{len(runs)} runs, about {duration(left / engine.free)} on {engine.free} workers for "
        "training alone"
    )
    lines.append(f"a verdict of the deepest places needs {needed(hypotheses)} pairs")
    record = {"cells": [run.planned() for run in runs], "seconds": left}
    return Report(record, "\n".join(lines))
