"""A worker program on this machine, which every engine starts where its jobs run."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.compare.execution.engine import is_short_of_memory
from zoo.errors import cut

LOG = "worker{}.log"  # of a worker's messages
PATIENCE = 5.0  # seconds for a worker whose answer ended to end as well


class WorkerProcess:
    """A program that answers requests: each is a line of JSON, and so is the answer.

    It lives for many jobs, so that imports are paid once, and has one thread of the CPU. An
    interrupt of the terminal is not for it, but for the process that started it.

    Args:
        program: the words after `python` that start it.
        log: file of its messages, to which it appends.
        variables: of its environment, beside those of this process.
        folder: in which it runs; None: that of this process.
    """

    def __init__(
        self,
        program: Sequence[str],
        log: Path,
        variables: Mapping[str, str] | None = None,
        folder: str | None = None,
    ):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                (sys.executable, *program),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, **threads, **(variables or {})},
                cwd=folder,
                start_new_session=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout
        self.ended, self.text = False, b""

    def ask(self, request: Mapping[str, Any]) -> None:
        """Gives it a request; that it has ended is seen by the next `read`."""
        with contextlib.suppress(BrokenPipeError):
            self.requests.write(json.dumps(request).encode() + b"\n")
            self.requests.flush()

    def read(self) -> tuple[dict[str, Any] | None, str]:
        """Its answer, or why there will be none; neither where the answer is not complete yet.

        Waits for a part of the answer. A worker that ran out of memory ends with its answer.
        """
        chunk = os.read(self.answers.fileno(), 1 << 20)
        if not chunk:
            return None, self.end(PATIENCE)
        self.text += chunk
        if not self.text.endswith(b"\n"):
            return None, ""
        text, self.text = self.text, b""
        try:
            answer: dict[str, Any] = dict(json.loads(text))
        except (ValueError, TypeError):
            self.end()
            return None, f"the worker's answer is no JSON object but {cut(text.decode(), 80)}"
        if is_short_of_memory(answer):
            self.end(PATIENCE)
        return answer, ""

    def work(self, request: Mapping[str, Any], seconds: float) -> tuple[dict[str, Any] | None, str]:
        """Its answer to a request, or why there is none; it is ended if it takes longer.

        Args:
            request: for one job.
            seconds: that the job may take.
        """
        self.ask(request)
        answer, lost, latest = None, "", time.monotonic() + seconds
        while answer is None and not lost:
            left = latest - time.monotonic()
            if left <= 0:
                self.end()
                return None, hung(seconds)
            if select.select([self.answers], [], [], left)[0]:
                answer, lost = self.read()
        return answer, lost

    def end(self, patience: float = 0.0) -> str:
        """Ends it with all that it has started, and returns how it ended.

        Args:
            patience: seconds in which it may end by itself.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        with contextlib.suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(self.process.pid, signal.SIGKILL)  # also programs that outlive it
        code = self.process.wait()
        self.answers.close()
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()
        self.ended = True
        if code == -signal.SIGKILL:
            return "the worker was killed (by the system if memory ran out)"
        return f"the worker ended by {f'signal {-code}' if code < 0 else f'exit code {code}'}"


def hung(seconds: float) -> str:
    """Why a job has no answer that took longer than it may."""
    return f"no end after {seconds:.0f} s"
