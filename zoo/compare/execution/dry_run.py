"""What a comparison would run, and how long it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.verdict import needed
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.progress import duration
from zoo.compare.execution.schedule import Job
from zoo.compare.execution.store import Store


def listing(
    runs: Sequence[Run],
    jobs: Sequence[Job],
    lost: Mapping[str, str],
    store: Store,
    engine: Engine,
    hypotheses: int,
) -> tuple[dict[str, Any], str, int]:
    """The cells and the estimate of their time; nothing is run."""
    lines, left = [], 0.0
    estimates = {job.cell: job.estimate for job in jobs}
    for run in runs:
        done = store.result(run.id) is not None
        estimate = estimates.get(run.id, 0.0)
        left += 0 if done else estimate
        state = lost.get(run.id) or ("done" if done else f"about {duration(estimate)}")
        lines.append(f"{run.place:<24} {run.arm:<16} pair {run.pair:<4} {state}")
    lines.append(
        f"{len(runs)} runs, about {duration(left / engine.free)} on {engine.free} workers for "
        "training alone"
    )
    lines.append(f"a verdict of the deepest places needs {needed(hypotheses)} pairs")
    return {"cells": [run.facts() for run in runs], "seconds": left}, "\n".join(lines), 0
