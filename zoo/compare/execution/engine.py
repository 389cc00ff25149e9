"""What runs jobs: worker processes of this machine that live long, so imports are paid once.

An engine has `free`, `submit`, `poll` and `close`. A worker reads a request from its
standard input, a line of JSON, and writes an answer to its standard output, another line.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from zoo.errors import ResourceError

WORKER = (sys.executable, "-m", "tasks.worker.main")
LOG = "worker{}.log"  # of a worker's messages
PATIENCE = 5.0  # seconds for a worker whose answer ended to end as well


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        job: its name.
        answer: of the worker, if it gave one.
        lost: why there is none: the worker died or hung.
        log: the file of the worker's messages.
    """

    job: str
    answer: dict[str, Any] | None = None
    lost: str = ""
    log: str = ""

    def reason(self) -> str:
        """Why the job was lost, for the worker or for want of memory, or nothing."""
        answer = self.answer or {}
        full = answer.get("code") == ResourceError.code
        return self.told(str(answer["error"]) if full else self.lost)

    def told(self, error: str) -> str:
        """An error with the file that says more."""
        return f"{error} (see {self.log})" if error and self.log else error


class Engine(Protocol):
    """Runs jobs, some at a time."""

    @property
    def free(self) -> int:
        """Jobs that can be submitted now."""

    def submit(self, job: str, request: dict[str, Any]) -> None:
        """Begins a job."""

    def poll(self, seconds: float) -> list[Outcome]:
        """Jobs that ended, after some seconds at most."""

    def close(self) -> None:
        """Ends all workers."""


@dataclass
class Worker:
    """A process and what it works on."""

    process: subprocess.Popen[bytes]
    number: int
    job: str = ""
    began: float = 0.0
    read: bytes = b""


@dataclass
class Local:
    """Worker processes on this machine.

    Args:
        workers: how many.
        logs: folder of what they print.
        seconds: after which a job is taken to hang.
        command: of a worker.
        per_gpu: workers that share a GPU; each sees one.
        gpus: names of the GPUs.
    """

    workers: int
    logs: Path
    seconds: float = 3600.0
    command: Sequence[str] = WORKER
    per_gpu: int = 1
    gpus: Sequence[str] = ()
    crew: dict[int, Worker] = field(default_factory=dict)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    @property
    def free(self) -> int:
        busy = sum(bool(worker.job) for worker in self.crew.values())
        return self.workers - busy

    def start(self, number: int) -> Worker:
        """A fresh worker: one thread of the CPU, one GPU."""
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
        worker = self.crew[number] = Worker(process, number)
        assert process.stdout is not None
        self.selector.register(process.stdout, selectors.EVENT_READ, worker)
        return worker

    def log_of(self, worker: Worker) -> str:
        """The file of a worker's messages, from the folder of the comparison on."""
        return f"{self.logs.name}/{LOG.format(worker.number)}"

    def submit(self, job: str, request: dict[str, Any]) -> None:
        idle = (worker for worker in self.crew.values() if not worker.job)
        unused = next(n for n in range(self.workers + 1) if n not in self.crew)
        worker = next(idle, None) or self.start(unused)
        worker.job, worker.began = job, time.monotonic()
        assert worker.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its end is seen by the next poll
            worker.process.stdin.write(json.dumps(request).encode() + b"\n")
            worker.process.stdin.flush()

    def poll(self, seconds: float) -> list[Outcome]:
        outcomes = []
        for key, _ in self.selector.select(seconds):
            worker: Worker = key.data
            chunk = os.read(key.fd, 1 << 20)
            worker.read += chunk
            if not chunk:
                job, reason = worker.job, self.terminate(worker, PATIENCE)
                outcomes += [Outcome(job, lost=reason, log=self.log_of(worker))] if job else []
            elif worker.read.endswith(b"\n"):
                outcomes.append(
                    Outcome(worker.job, json.loads(worker.read), log=self.log_of(worker))
                )
                worker.job, worker.read = "", b""
        for worker in list(self.crew.values()):
            if worker.job and time.monotonic() - worker.began > self.seconds:
                hung = f"no end after {self.seconds:.0f} s"
                outcomes.append(Outcome(worker.job, lost=hung, log=self.log_of(worker)))
                self.terminate(worker)
        return outcomes

    def terminate(self, worker: Worker, patience: float = 0.0) -> str:
        """Ends a worker, after some seconds in which it may end by itself, and says how it did."""
        assert worker.process.stdout is not None
        assert worker.process.stdin is not None
        self.selector.unregister(worker.process.stdout)
        try:
            code = worker.process.wait(patience)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            code = worker.process.wait()
        worker.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            worker.process.stdin.close()
        del self.crew[worker.number]
        if code == -signal.SIGKILL:
            return "the worker was killed (by the system if memory ran out)"
        return f"the worker ended by {f'signal {-code}' if code < 0 else f'exit code {code}'}"

    def close(self) -> None:
        for worker in list(self.crew.values()):
            self.terminate(worker)
        self.selector.close()
