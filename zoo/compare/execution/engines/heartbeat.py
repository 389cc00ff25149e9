"""Signs of life in a folder that machines share, told by what a file holds and never by its time.

Clocks of machines differ, and a shared folder may show a file late. So a sign of life is a number
that grows, and its reader measures on its own clock for how long it has seen the same one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

BEAT = 5.0  # seconds between two signs of life
SILENT = 120.0  # seconds of the same number after which its writer is taken for dead


class Pulse:
    """A number in a file, which grows while its writer lives.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        self.path, self.number = path, 0

    def beat(self) -> None:
        """Writes the next number; one that cannot be written is missed, which its reader judges."""
        self.number += 1
        with contextlib.suppress(OSError):
            self.path.write_text(str(self.number), encoding="utf-8")


class Watch:
    """What another process sees of a pulse.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        self.path, self.seen, self.since = path, "", time.monotonic()

    def silence(self) -> float:
        """The seconds for which the number has been the same; a file that is missing is one."""
        try:
            now = self.path.read_text(encoding="utf-8")
        except OSError:
            now = self.seen
        if now != self.seen:
            self.seen, self.since = now, time.monotonic()
        return time.monotonic() - self.since

    def is_dead(self) -> bool:
        """Whether the writer of the pulse is taken for dead."""
        return self.silence() > SILENT


class Background:
    """Something that is done again and again in the background, until it is stopped.

    Args:
        act: is done every `BEAT` seconds, and once at the start.
    """

    def __init__(self, act: Callable[[], object]):
        self.act, self.ended = act, threading.Event()
        self.act()
        self.thread = threading.Thread(target=self.repeat, name="zoo-heartbeat", daemon=True)
        self.thread.start()

    def repeat(self) -> None:
        """Acts until `stop` is called."""
        while not self.ended.wait(BEAT):
            self.act()

    def stop(self) -> None:
        """Ends it; it does not act any more when this returns."""
        self.ended.set()
        self.thread.join()
