"""The engine of this machine: worker processes that live for many jobs."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.compare.design.spec import Comparison
from zoo.compare.execution.engine import Outcome, is_short_of_memory
from zoo.compare.execution.store import Store

WORKER = (sys.executable, "-m", "tasks.worker.main")
LOG = "worker{}.log"  # of a worker's messages
PATIENCE = 5.0  # seconds for a worker whose answer ended to end as well


@dataclass
class Worker:
    """A worker process and the job that it works on.

    Args:
        process: of the system.
        number: of the worker.
        job: name of its job; empty where it is idle.
        began: when the job began, in seconds of the monotonic clock.
        runs: that train together in the job.
        answer: what it has written of its answer.
    """

    process: subprocess.Popen[bytes]
    number: int
    job: str = ""
    began: float = 0.0
    runs: int = 1
    answer: bytes = b""


@dataclass
class LocalEngine:
    """Worker processes on this machine.

    A worker reads a request from its standard input, a line of JSON, and writes an answer to its
    standard output, another line. It lives for many jobs, so that imports are paid once.

    Args:
        workers: largest number of them.
        logs: folder for their messages.
        seconds: after which a run is taken to hang.
        command: that starts a worker.
        per_gpu: number of workers that share a GPU; each worker sees one GPU.
        gpus: names of the GPUs.
    """

    workers: int
    logs: Path
    seconds: float = 3600.0
    command: Sequence[str] = WORKER
    per_gpu: int = 1
    gpus: Sequence[str] = ()
    alive: dict[int, Worker] = field(default_factory=dict)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    @property
    def free(self) -> int:
        """The number of jobs that can be submitted now."""
        busy = sum(bool(worker.job) for worker in self.alive.values())
        return self.workers - busy

    def start(self, number: int) -> Worker:
        """Starts a worker with one thread of the CPU and one GPU."""
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        env = {**os.environ, **threads}
        if self.gpus:
            env["CUDA_VISIBLE_DEVICES"] = self.gpus[number // self.per_gpu % len(self.gpus)]
        with (self.logs / LOG.format(number)).open("ab") as log:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=env,
                start_new_session=True,  # an interrupt of the terminal is for the parent
            )
        worker = self.alive[number] = Worker(process, number)
        assert process.stdout is not None
        self.selector.register(process.stdout, selectors.EVENT_READ, worker)
        return worker

    def log_of(self, worker: Worker) -> str:
        """The file of a worker's messages, relative to the folder of the comparison."""
        return f"{self.logs.name}/{LOG.format(worker.number)}"

    def submit(self, job: str, request: dict[str, Any]) -> None:
        """Gives a job to an idle worker, or to one that is started for it."""
        idle = (worker for worker in self.alive.values() if not worker.job)
        unused = next(n for n in range(self.workers + 1) if n not in self.alive)
        worker = next(idle, None) or self.start(unused)
        worker.job, worker.began = job, time.monotonic()
        worker.runs = len(request.get("runs", [job]))
        assert worker.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its end is seen by the next poll
            worker.process.stdin.write(json.dumps(request).encode() + b"\n")
            worker.process.stdin.flush()

    def poll(self, seconds: float) -> list[Outcome]:
        """The jobs that ended; waits for one some seconds at most, and ends workers that hang."""
        outcomes = []
        for key, _ in self.selector.select(seconds):
            worker: Worker = key.data
            chunk = os.read(key.fd, 1 << 20)
            worker.answer += chunk
            if not chunk:
                job, reason = worker.job, self.terminate(worker, PATIENCE)
                outcomes += [Outcome(job, lost=reason, log=self.log_of(worker))] if job else []
            elif worker.answer.endswith(b"\n"):
                answer = json.loads(worker.answer)
                outcomes.append(Outcome(worker.job, answer, log=self.log_of(worker)))
                worker.job, worker.answer = "", b""
                if is_short_of_memory(answer):  # it ends by itself
                    self.terminate(worker, PATIENCE)
        for worker in list(self.alive.values()):
            limit = self.seconds * worker.runs
            if worker.job and time.monotonic() - worker.began > limit:
                hung = f"no end after {limit:.0f} s"
                outcomes.append(Outcome(worker.job, lost=hung, log=self.log_of(worker)))
                self.terminate(worker)
        return outcomes

    def terminate(self, worker: Worker, patience: float = 0.0) -> str:
        """Ends a worker with all that it has started, and returns how it ended.

        Args:
            worker: to end.
            patience: seconds in which it may end by itself.
        """
        assert worker.process.stdout is not None
        assert worker.process.stdin is not None
        self.selector.unregister(worker.process.stdout)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(patience)
        with contextlib.suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(worker.process.pid, signal.SIGKILL)  # also programs that outlive it
        code = worker.process.wait()
        worker.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            worker.process.stdin.close()
        del self.alive[worker.number]
        if code == -signal.SIGKILL:
            return "the worker was killed (by the system if memory ran out)"
        return f"the worker ended by {f'signal {-code}' if code < 0 else f'exit code {code}'}"

    def close(self) -> None:
        """Ends all workers."""
        for worker in list(self.alive.values()):
            self.terminate(worker)
        self.selector.close()


def visible_gpus() -> list[str]:
    """The names of the GPUs that `CUDA_VISIBLE_DEVICES` leaves to us; `-1` ends its list."""
    installed = (str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = installed if visible is None else map(str.strip, visible.split(","))
    return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))


@contextmanager
def local_engine(options: Comparison, store: Store) -> Iterator[LocalEngine]:
    """The engine of this machine; its workers end with the block, also by SIGTERM."""
    gpus = visible_gpus()
    count = options.workers or len(gpus) * options.per_gpu or os.cpu_count() or 1
    engine = LocalEngine(
        count, store.logs, 60 * options.minutes, per_gpu=options.per_gpu, gpus=gpus
    )
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield engine
    finally:
        signal.signal(signal.SIGTERM, before)
        engine.close()
