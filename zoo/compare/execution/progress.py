"""The progress of a comparison on stderr: one line that renews itself, or a line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

from zoo.compare.execution.forecast import seconds_left
from zoo.compare.execution.schedule import Tally

EVERY = 15.0  # seconds between two lines where stderr is no terminal


def duration(seconds: float) -> str:
    """A duration in words.

    >>> duration(7.4), duration(95), duration(7300)
    ('7 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Shows how many runs are done, and how long the others will take.

    Args:
        out: stream to write to.
        at_most: whether fewer runs may do.
    """

    def __init__(self, out: TextIO, at_most: bool = False):
        self.out = out
        self.about = "at most about" if at_most else "about"
        self.began = self.shown = time.monotonic()
        self.last = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_line()

    def end_line(self) -> None:
        """Ends the line that renews itself, so that other lines can follow."""
        if self.last:
            print(file=self.out)
            self.last = ""

    def show(self, tally: Tally) -> None:
        """Writes a line on the runs, unless the last one is too recent."""
        now = time.monotonic()
        left = seconds_left(tally, now - self.began, now)
        remaining = f", {self.about} {duration(left)} left" if left else ""
        failed = f", {len(tally.failed)} failed" if tally.failed else ""
        counts = f"{tally.done} of {tally.total} runs done, {tally.running} running{failed}"
        line = ", ".join(filter(None, [f"zoo: {counts}{remaining}", tally.note]))
        if self.out.isatty():
            print(f"\r{line:<{len(self.last)}}", end="", file=self.out, flush=True)
            self.last = line
        elif now - self.shown > EVERY or tally.done == tally.total:
            print(line, file=self.out, flush=True)
            self.shown = now
