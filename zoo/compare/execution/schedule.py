"""Runs all cells of a comparison: acquires leases, submits jobs, retries, commits results."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from zoo.compare.execution.engine import Engine, Outcome
from zoo.compare.execution.job import Job
from zoo.compare.execution.store import Store

RETRIES = 2  # of a run that was lost, with the same seed


@dataclass
class Tally:
    """How many cells are done, failed and running.

    Args:
        total: number of all cells.
        jobs: those that were missing at the start, by their addresses.
        ended: addresses of those that have ended since.
        failed: for each cell that failed the reason, by its address.
        running: number of cells that this process runs now.
        took: seconds of the runs that have ended, by kind.
        busy: seconds of all the runs of this process.
        elsewhere: addresses of those that another process has ended since the start.
        note: what runs wait for, in words.
    """

    total: int
    jobs: dict[str, Job]
    ended: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    running: int = 0
    took: dict[str, list[float]] = field(default_factory=dict)
    busy: float = 0.0
    elsewhere: set[str] = field(default_factory=set)
    note: str = ""

    @classmethod
    def of(cls, jobs: Iterable[Job], store: Store) -> Tally:
        """The tally of cells before any of them begins; those with the same address are one."""
        unique = {job.cell: job for job in jobs}
        missing = {cell: job for cell, job in unique.items() if not store.is_finished(cell)}
        tally = cls(len(unique), missing)
        for cell in unique.keys() - missing.keys():
            if seconds := store.seconds(cell):
                tally.took.setdefault(unique[cell].kind, []).append(seconds)
        return tally

    @property
    def done(self) -> int:
        """The number of finished cells."""
        return self.total - len(self.jobs) + len(self.ended - self.failed.keys())

    @property
    def left(self) -> list[Job]:
        """The cells that have not ended, in their turn."""
        left = [job for cell, job in self.jobs.items() if cell not in self.ended]
        return sorted(left, key=lambda job: job.turn)


def run_all(
    jobs: Iterable[Job],
    tally: Tally,
    store: Store,
    engine: Engine,
    show: Callable[[Tally], None],
) -> None:
    """Runs cells that are not finished, pair by pair, and tallies what became of them.

    Cells that another process runs are waited for; if it dies, they are run here.

    Args:
        jobs: some of the tally's.
        tally: of all cells.
        store: that holds the finished cells and the leases.
        engine: that runs them.
        show: called with the tally from time to time.
    """
    waiting = deque(jobs)
    in_flight: dict[str, list[Job]] = {}
    while waiting or in_flight:
        for _ in range(len(waiting)):
            if not waiting:  # the last ones went with another
                break
            job = waiting.popleft()
            if store.is_finished(job.cell):
                tally.ended.add(job.cell)
                tally.elsewhere.add(job.cell)
            elif engine.free and store.acquire(job.cell):
                group = [job, *others(job, waiting, store)]
                for one in group:
                    one.folder, one.began = store.empty_folder(one.cell), time.monotonic()
                in_flight[job.cell] = group
                runs = {"do": "together", "runs": [one.request for one in group]}
                engine.submit(job.cell, runs if len(group) > 1 else job.request)
            else:
                waiting.append(job)
                if not engine.free:
                    break
        waiting = deque(sorted(waiting, key=lambda job: job.turn))
        tally.running = sum(map(len, in_flight.values()))
        tally.note = engine.note
        if waiting and engine.free:
            tally.note = f"{len(waiting)} wait for another process"
        show(tally)
        for outcome in engine.poll(0.5):
            group = in_flight.pop(outcome.job)
            for job, part in zip(group, outcome.split(len(group)), strict=True):
                seconds = outcome.seconds or time.monotonic() - (job.began or 0.0)
                conclude(part, job, seconds / len(group), store, tally, waiting)
    tally.running, tally.note = 0, ""
    show(tally)


def others(job: Job, waiting: deque[Job], store: Store) -> list[Job]:
    """The jobs that train together with one; they no longer wait, and their leases are held."""
    found: list[Job] = []
    for other in list(waiting):
        if len(found) + 1 < job.together and job.goes_with(other) and store.acquire(other.cell):
            waiting.remove(other)
            found.append(other)
    return found


def conclude(
    outcome: Outcome, job: Job, seconds: float, store: Store, tally: Tally, waiting: deque[Job]
) -> None:
    """Commits the result of a job, puts a lost one back to those that wait, or notes its failure.

    Args:
        outcome: of the job.
        job: that has ended; its lease is released.
        seconds: that it took.
        store: that receives the result.
        tally: that counts it.
        waiting: jobs to run.
    """
    answer = outcome.answer or {}
    lost = outcome.why_lost()
    job.began = None
    tally.busy += seconds
    if not lost and "error" not in answer:
        lost = outcome.with_log(store.commit(job.cell, job.folder))
    ours = store.release(job.cell)
    if not lost and "error" not in answer:
        tally.ended.add(job.cell)
        tally.took.setdefault(job.kind, []).append(seconds)
    elif not ours:  # another process took it over, and what was in the folder with it
        waiting.append(job)
    elif lost and job.losses < RETRIES:
        job.losses += 1
        waiting.append(job)
    else:
        tally.ended.add(job.cell)
        tally.failed[job.cell] = lost or outcome.with_log(str(answer["error"]))
