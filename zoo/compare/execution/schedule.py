"""Runs all cells of a comparison: acquires leases, submits jobs, retries, commits results."""

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
HEARTBEAT = 10.0  # seconds between two signs of life


@dataclass
class Job:
    """A cell to run.

    Args:
        cell: address of the run.
        config: of the run, as plain values.
        estimate: of the seconds that it takes; None: not known, as long as any other.
        do: what the worker is asked for.
        folder: in which it runs, once it has begun.
        losses: number of times that it was lost.
    """

    cell: str
    config: dict[str, Any]
    estimate: float | None = 0.0
    do: str = "cell"
    folder: Path = Path()
    losses: int = 0

    @property
    def share(self) -> float:
        """Its share of all the time that is left."""
        return 1.0 if self.estimate is None else self.estimate


@dataclass
class Tally:
    """How many cells are done, failed and running.

    Args:
        total: number of all cells.
        done: number of finished cells.
        failed: for each cell that failed the reason, by its address.
        running: number of cells that this process runs now.
        seconds_left: estimate for the cells that are not done.
    """

    total: int
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    running: int = 0
    seconds_left: float = 0.0


def run_all(
    jobs: Iterable[Job], store: Store, engine: Engine, show: Callable[[Tally], None]
) -> Tally:
    """Runs every cell that is not finished, the longest first, and tells what became of them.

    Cells that another process runs are waited for; if it dies, they are run here.

    Args:
        jobs: the cells; those with the same address are run once.
        store: that holds the finished cells and the leases.
        engine: that runs them.
        show: called with the tally from time to time.
    """
    unique = {job.cell: job for job in jobs}.values()
    missing = [job for job in unique if not store.is_finished(job.cell)]
    waiting = deque(sorted(missing, key=lambda j: -j.share))
    in_flight: dict[str, Job] = {}
    tally = Tally(len(unique), len(unique) - len(missing))
    last_heartbeat = 0.0
    while waiting or in_flight:
        for _ in range(len(waiting)):
            job = waiting.popleft()
            if store.is_finished(job.cell):
                tally.done += 1
            elif engine.free and store.acquire(job.cell):
                job.folder = store.empty_folder(job.cell)
                in_flight[job.cell] = job
                request = {"do": job.do, "config": job.config, "folder": str(job.folder)}
                engine.submit(job.cell, request)
            else:
                waiting.append(job)
                if not engine.free:
                    break
        waiting = deque(sorted(waiting, key=lambda j: -j.share))
        tally.running = len(in_flight)
        tally.seconds_left = sum(job.share for job in [*waiting, *in_flight.values()])
        show(tally)
        if time.monotonic() - last_heartbeat > HEARTBEAT:
            store.heartbeat()
            last_heartbeat = time.monotonic()
        for outcome in engine.poll(0.5):
            conclude(outcome, in_flight.pop(outcome.job), store, tally, waiting)
    tally.running, tally.seconds_left = 0, 0.0
    show(tally)
    return tally


def conclude(outcome: Outcome, job: Job, store: Store, tally: Tally, waiting: deque[Job]) -> None:
    """Commits the result of a job, puts a lost one back to those that wait, or notes its failure.

    Args:
        outcome: of the job.
        job: that has ended; its lease is released.
        store: that receives the result.
        tally: that counts it.
        waiting: jobs to run.
    """
    answer = outcome.answer or {}
    lost = outcome.why_lost()
    if not lost and "error" not in answer:
        store.commit(job.cell, job.folder)
        tally.done += 1
    elif lost and job.losses < RETRIES:
        job.losses += 1
        waiting.append(job)
    else:
        tally.failed[job.cell] = lost or outcome.with_log(str(answer["error"]))
    store.release(job.cell)
