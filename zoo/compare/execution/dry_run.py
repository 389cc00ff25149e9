"""What a comparison would run, and how long it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoo.compare.analysis.aggregate import Row
from zoo.compare.analysis.verdict import needed
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.progress import duration
from zoo.compare.execution.schedule import Job
from zoo.compare.execution.store import Store


def listing(
    facts: Sequence[Row],
    jobs: Sequence[Job],
    lost: Mapping[str, str],
    store: Store,
    engine: Engine,
    hypotheses: int,
) -> tuple[Row, str, int]:
    """The cells and the estimate of their time; nothing is run."""
    lines, left = [], 0.0
    estimates = {job.cell: job.estimate for job in jobs}
    for fact in facts:
        done = store.result(fact["id"]) is not None
        estimate = estimates.get(fact["id"], 0.0)
        left += 0 if done else estimate
        state = lost.get(fact["id"]) or ("done" if done else f"about {duration(estimate)}")
        lines.append(f"{fact['place']:<24} {fact['arm']:<16} pair {fact['pair']:<4} {state}")
    lines.append(
        f"{len(facts)} runs, about {duration(left / engine.free)} on {engine.free} workers for "
        "training alone"
    )
    lines.append(f"a verdict of the deepest places needs {needed(hypotheses)} pairs")
    return {"cells": list(facts), "seconds": left}, "\n".join(lines), 0
