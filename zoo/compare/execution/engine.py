"""What an engine is: it runs jobs, some at a time, and tells how they ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from zoo.errors import ResourceError


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        job: name of the job.
        answer: of the worker; None where it gave none.
        lost: why there is no answer: the worker died or hung.
        log: file of the worker's messages.
    """

    job: str
    answer: dict[str, Any] | None = None
    lost: str = ""
    log: str = ""

    def why_lost(self) -> str:
        """Why the job may be tried again, the worker or its memory being lost; else empty."""
        answer = self.answer or {}
        full = answer.get("code") == ResourceError.code
        return self.with_log(str(answer["error"]) if full else self.lost)

    def with_log(self, error: str) -> str:
        """The text of an error with the file that says more; empty for an empty text."""
        return f"{error} (see {self.log})" if error and self.log else error


class Engine(Protocol):
    """Runs jobs, some at a time."""

    @property
    def free(self) -> int:
        """The number of jobs that can be submitted now."""

    def submit(self, job: str, request: dict[str, Any]) -> None:
        """Begins a job: gives the request, which JSON can hold, to a worker."""

    def poll(self, seconds: float) -> list[Outcome]:
        """The jobs that ended since the last poll; waits for one, at most so many seconds."""

    def close(self) -> None:
        """Ends all workers."""
