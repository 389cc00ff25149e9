"""A run of a comparison that waits for its turn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Job:
    """A cell to run.

    Args:
        cell: address of the run.
        config: of the run, as plain values.
        kind: that all seeds of an arm at a place share.
        pair: its number; the runs of a pair come before those of the next.
        estimate: of the seconds that it takes; None: not known.
        do: what the worker is asked for.
        why: whether the worker probes the stream of the net.
        together: the most runs of its kind that train together, itself included.
        folder: in which it runs, once it has begun.
        began: when it began, in seconds of the monotonic clock; None while it does not run.
        losses: number of times that it was lost.
    """

    cell: str
    config: dict[str, Any]
    kind: str = ""
    pair: int = 0
    estimate: float | None = None
    do: str = "cell"
    why: bool = False
    together: int = 1
    folder: Path = Path()
    began: float | None = None
    losses: int = 0

    @property
    def turn(self) -> tuple[int, float]:
        """What sorts jobs: pair by pair, and in a pair the longest first."""
        return self.pair, -(self.estimate or 0.0)

    @property
    def request(self) -> dict[str, Any]:
        """What the worker is asked for, once the run has a folder."""
        asked = {"do": self.do, "config": self.config, "folder": str(self.folder)}
        return asked | {"why": self.why, "estimate": self.estimate}

    def goes_with(self, other: Job) -> bool:
        """Whether both can train together; what was lost is tried again alone."""
        return self.kind == other.kind and not self.losses and not other.losses
