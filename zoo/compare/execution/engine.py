"""What an engine is: it runs jobs, some at a time, and tells how they ended."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from zoo.errors import ConfigError, ResourceError

WORKER = ("-m", "tasks.worker.main")
ALLOCATION = "ZOO_ALLOCATION"  # a variable of workers on several machines


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


def devices_in(request: Mapping[str, Any]) -> int:
    """The number of devices of a machine that each run of a request asks for."""
    first = request.get("runs", [request])[0]
    devices: int = first["config"].get("trainer", {}).get("devices", 1)
    return devices


def allocation() -> dict[str, str]:
    """Slurm's variables of the machines that this worker has; none where it has its own alone."""
    return dict(json.loads(os.environ.get(ALLOCATION, "{}")))


def machines() -> int:
    """The number of machines that this worker has."""
    return int(allocation().get("SLURM_NNODES", 1))


@dataclass(frozen=True)
class Terms:
    """What a comparison asks of every engine.

    Args:
        logs: folder for the messages of workers, inside the folder of the comparison.
        workers: the most jobs at a time; None: as many as the engine has room for.
        seconds: after which a run is taken to hang.
        program: the words after `python` that start a worker.
        devices: the most that a run asks for, of one machine.
    """

    logs: Path
    workers: int | None = None
    seconds: float = 3600.0
    program: Sequence[str] = WORKER
    devices: int = 1

    def refuse_sharing(self, option: str) -> None:
        """ConfigError where an option would share GPUs that each run has for itself."""
        if self.devices > 1:
            what = f"a run on {self.devices} devices has them alone"
            raise ConfigError(what, option, "leave it out")


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
