"""What a comparison would run, and how long it would take."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.across import Row
from zoo.compare.engine import Engine
from zoo.compare.progress import duration
from zoo.compare.schedule import Job
from zoo.compare.store import Store


def listing(
    facts: Sequence[Row], jobs: Sequence[Job], store: Store, engine: Engine
) -> tuple[Row, str, int]:
    """The cells and the estimate of their time; nothing is run."""
    lines, left = [], 0.0
    for fact, job in zip(facts, jobs, strict=True):
        done = store.result(job.cell) is not None
        left += 0 if done else job.estimate
        state = "done" if done else f"about {duration(job.estimate)}"
        lines.append(f"{fact['place']:<24} {fact['arm']:<16} pair {fact['pair']:<4} {state}")
    lines.append(
        f"{len(jobs)} runs, about {duration(left / engine.free)} on {engine.free} workers for "
        "training alone"
    )
    return {"cells": list(facts), "seconds": left}, "\n".join(lines), 0
