"""What the queue of a cluster is: tasks wait in it, run, and are replaced when they have ended."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

LARGEST = 1000  # tasks that are put in line at once: Slurm's default for an array


class Place(NamedTuple):
    """A task in the queue of a cluster.

    Args:
        waits: whether it has not begun.
        rests: whether it is stopped for a while.
        reason: why it waits.
    """

    waits: bool
    rests: bool = False
    reason: str = ""


class Queue(Protocol):
    """The tasks of one sender in the queue of a cluster."""

    def submit(self, count: int, mailbox: Path, logs: Path) -> None:
        """Puts some tasks in line, at most `LARGEST`; ConfigError where it refuses them."""

    def places(self, name: str) -> dict[str, Place] | None:
        """Those that wait or run, by their names; None where the queue does not answer."""

    def cancel(self, name: str) -> None:
        """Ends the tasks of a sender."""
