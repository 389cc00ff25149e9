"""Brings all cells of a comparison to an end: takes leases, submits, retries, keeps results."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.compare.execution.engine import Engine, Outcome
from zoo.compare.execution.store import Store

RETRIES = 2  # of a run that was lost, with the same seed
BEAT = 10.0  # seconds between two signs of life


@dataclass
class Job:
    """A cell on its way.

    Args:
        cell: its address.
        config: of the run, plain.
        estimate: of its seconds.
        folder: where it runs.
        losses: how often it was lost.
    """

    cell: str
    config: dict[str, Any]
    estimate: float = 0.0
    folder: Path = Path()
    losses: int = 0


@dataclass
class Tally:
    """What became of the cells.

    Args:
        total: cells of the comparison.
        done: finished ones.
        failed: for each cell that failed, why.
        running: in flight here.
        left: seconds of work that is not done, as estimated.
    """

    total: int
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    running: int = 0
    left: float = 0.0


def run_all(
    jobs: Iterable[Job], store: Store, engine: Engine, show: Callable[[Tally], None]
) -> Tally:
    """Runs every cell that is not finished, the longest first.

    Cells that another process has are waited for; if it dies, they are run here.
    """
    every = {job.cell: job for job in jobs}.values()
    missing = [job for job in every if store.result(job.cell) is None]
    waiting = deque(sorted(missing, key=lambda j: -j.estimate))
    flying: dict[str, Job] = {}
    tally = Tally(len(every), len(every) - len(missing))
    beaten = 0.0
    while waiting or flying:
        for _ in range(len(waiting)):
            job = waiting.popleft()
            if store.result(job.cell) is not None:
                tally.done += 1
            elif engine.free and store.take(job.cell):
                job.folder = store.fresh(job.cell)
                flying[job.cell] = job
                request = {"do": "cell", "config": job.config, "folder": str(job.folder)}
                engine.submit(job.cell, request)
            else:
                waiting.append(job)
                if not engine.free:
                    break
        waiting = deque(sorted(waiting, key=lambda j: -j.estimate))
        tally.running = len(flying)
        tally.left = sum(job.estimate for job in [*waiting, *flying.values()])
        show(tally)
        if time.monotonic() - beaten > BEAT:
            store.beat()
            beaten = time.monotonic()
        for outcome in engine.poll(0.5):
            settle(outcome, flying.pop(outcome.job), store, tally, waiting)
    tally.running, tally.left = 0, 0.0
    show(tally)
    return tally


def settle(outcome: Outcome, job: Job, store: Store, tally: Tally, waiting: deque[Job]) -> None:
    """Keeps a result, tries a lost run again, or notes a failure."""
    answer = outcome.answer or {}
    lost = outcome.reason()
    if not lost and "error" not in answer:
        store.keep(job.cell, job.folder)
        tally.done += 1
    elif lost and job.losses < RETRIES:
        job.losses += 1
        waiting.append(job)
    else:
        tally.failed[job.cell] = lost or outcome.told(str(answer["error"]))
    store.release(job.cell)
