"""The engine of this machine: worker processes that live for many jobs."""

from __future__ import annotations

import itertools
import os
import re
import selectors
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from zoo.compare.execution.engine import Outcome, Terms, runs_in
from zoo.compare.execution.engines.worker_process import LOG, WorkerProcess, hung
from zoo.errors import ConfigError
from zoo.system.machine_memory import GPU_SHARE

GPU = re.compile(r"\d+|(GPU|MIG)-.+")  # not -1, nor the NoDevFiles of Slurm


@dataclass
class Worker:
    """A worker process and the job that it works on.

    Args:
        process: of the system.
        number: of the worker.
        job: name of its job; empty where it is idle.
        latest: when the job must have ended, in seconds of the monotonic clock.
        limit: seconds that the job may take.
    """

    process: WorkerProcess
    number: int
    job: str = ""
    latest: float = 0.0
    limit: float = 0.0


class LocalEngine:
    """Worker processes on this machine, one for each GPU or core where their number is not given.

    Of runs on several devices, each worker has as many GPUs or cores as the largest asks for.

    Args:
        terms: of the comparison.
        per_gpu: workers that share a GPU; each worker sees one GPU.

    Errors:
        ConfigError: runs on several GPUs would share them, or there is none to share.
    """

    note = ""  # it works at once

    def __init__(self, terms: Terms, per_gpu: Annotated[int, Ge(1), Le(10_000)] = 1):
        if per_gpu > 1:
            terms.refuse_sharing("engine.per_gpu")
        self.terms, self.per_gpu = terms, per_gpu
        gpus, several = visible_gpus(), terms.devices
        if per_gpu > 1 and not gpus:
            what = "there is no GPU here that workers could share"
            raise ConfigError(what, "engine.per_gpu=...", "leave it out; workers=N says how many")
        self.shares = [gpus[i : i + several] for i in range(0, len(gpus) - several + 1, several)]
        room = len(self.shares) * per_gpu or (os.cpu_count() or 1) // several
        self.workers = terms.workers or max(1, room)
        if several > 1 and self.shares and self.workers > len(self.shares):
            what = f"a run on {several} devices has them alone, and there are {len(gpus)}"
            raise ConfigError(what, "workers=...", f"give workers={len(self.shares)} at most")
        self.alive: dict[int, Worker] = {}
        self.selector = selectors.DefaultSelector()

    @property
    def free(self) -> int:
        """The number of jobs that can be submitted now."""
        busy = sum(bool(worker.job) for worker in self.alive.values())
        return self.workers - busy

    def start(self, number: int) -> Worker:
        """Starts a worker with its share of the GPUs."""
        visible = {}
        if self.shares:
            places = [n // self.per_gpu % len(self.shares) for n in range(self.workers + 1)]
            visible["CUDA_VISIBLE_DEVICES"] = ",".join(self.shares[places[number]])
            visible[GPU_SHARE] = str(1 / places[: self.workers].count(places[number]))
        log = self.terms.logs / LOG.format(number)
        worker = Worker(WorkerProcess(self.terms.program, log, visible), number)
        self.alive[number] = worker
        self.selector.register(worker.process.answers, selectors.EVENT_READ, worker)
        return worker

    def submit(self, job: str, request: dict[str, Any]) -> None:
        """Gives a job to an idle worker, or to one that is started for it."""
        idle = (worker for worker in self.alive.values() if not worker.job)
        unused = next(n for n in range(self.workers + 1) if n not in self.alive)
        worker = next(idle, None) or self.start(unused)
        worker.job, worker.limit = job, self.terms.seconds * runs_in(request)
        worker.latest = time.monotonic() + worker.limit
        worker.process.ask(request)

    def poll(self, seconds: float) -> list[Outcome]:
        """The jobs that ended; waits for one some seconds at most, and ends workers that hang."""
        outcomes = []
        for key, _ in self.selector.select(seconds):
            worker: Worker = key.data
            answer, lost = worker.process.read()
            if worker.job and (answer is not None or lost):
                outcomes.append(self.outcome(worker, answer, lost))
            if worker.process.ended:
                self.forget(worker)
        for worker in list(self.alive.values()):
            if worker.job and time.monotonic() > worker.latest:
                outcomes.append(self.outcome(worker, None, hung(worker.limit)))
                worker.process.end()
                self.forget(worker)
        return outcomes

    def outcome(self, worker: Worker, answer: dict[str, Any] | None, lost: str) -> Outcome:
        """How the job of a worker ended, which is idle from now on."""
        job, worker.job = worker.job, ""
        log = f"{self.terms.logs.name}/{LOG.format(worker.number)}"
        return Outcome(job, answer, lost, log)

    def forget(self, worker: Worker) -> None:
        """Removes a worker that has ended."""
        self.selector.unregister(worker.process.answers)
        del self.alive[worker.number]

    def close(self) -> None:
        """Ends all workers."""
        for worker in list(self.alive.values()):
            worker.process.end()
            self.forget(worker)
        self.selector.close()


def visible_gpus() -> list[str]:
    """The names of the GPUs that `CUDA_VISIBLE_DEVICES` leaves to us; one of none ends its list."""
    installed = (str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = installed if visible is None else map(str.strip, visible.split(","))
    return list(itertools.takewhile(GPU.fullmatch, names))
