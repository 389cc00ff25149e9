"""What an engine is: it runs jobs, some at a time, and tells how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from zoo.errors import ResourceError

WORKER = ("-m", "tasks.worker.main")


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        job: name of the job.
        answer: of the worker; None where it gave none.
        lost: why there is no answer: the worker died or hung.
        log: file of the worker's messages.
        seconds: that the worker took; None: all since the job was submitted.
    """

    job: str
    answer: dict[str, Any] | None = None
    lost: str = ""
    log: str = ""
    seconds: float | None = None

    def why_lost(self) -> str:
        """Why the job may be tried again, the worker or its memory being lost; else empty."""
        answer = self.answer or {}
        full = answer.get("code") == ResourceError.code
        return self.with_log(str(answer["error"]) if full else self.lost)

    def split(self, runs: int) -> list[Outcome]:
        """The outcome of each of the runs that were this job, one or several together."""
        answers = (self.answer or {}).get("runs")
        return [replace(self, answer=each) for each in answers] if answers else [self] * runs

    def with_log(self, error: str) -> str:
        """The text of an error with the file that says more; empty for an empty text."""
        return f"{error} (see {self.log})" if error and self.log else error


def is_short_of_memory(answer: Mapping[str, Any]) -> bool:
    """Whether a worker ran out of memory, in its job or in one of several runs of it."""
    return any(run.get("code") == ResourceError.code for run in (answer, *answer.get("runs", ())))


def runs_in(request: Mapping[str, Any]) -> int:
    """The number of runs that a request asks for, one or several together."""
    return len(request.get("runs", [request]))


@dataclass(frozen=True)
class Terms:
    """What a comparison asks of every engine.

    Args:
        logs: folder for the messages of workers, inside the folder of the comparison.
        workers: the most jobs at a time; None: as many as the engine has room for.
        seconds: after which a run is taken to hang.
        program: the words after `python` that start a worker.
    """

    logs: Path
    workers: int | None = None
    seconds: float = 3600.0
    program: Sequence[str] = WORKER


class Engine(Protocol):
    """Runs jobs, some at a time.

    A class that `configs/engine/NAME.yaml` names; it is made from the terms of the comparison and
    from its own options.
    """

    @property
    def note(self) -> str:
        """What keeps it from working, in words; empty where nothing does."""

    @property
    def free(self) -> int:
        """The number of jobs that can be submitted now."""

    def submit(self, job: str, request: dict[str, Any]) -> None:
        """Begins a job: gives the request, which JSON can hold, to a worker."""

    def poll(self, seconds: float) -> list[Outcome]:
        """The jobs that ended since the last poll; waits for one, at most so many seconds."""

    def close(self) -> None:
        """Ends all workers."""
