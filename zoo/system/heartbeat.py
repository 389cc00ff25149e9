"""Signs of life in a folder that machines share, told by what a file holds and never by its time.

Clocks of machines differ, and a shared folder may show a file late. So a sign of life is a number
that grows, and its reader measures on its own clock for how long it has seen the same one.
"""

from __future__ import annotations

import contextlib
import os
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
        """Writes the next number; one that cannot be written is missed, which its reader judges.

        It takes the place of the last one, for which there is room also on a full disk.
        """
        self.number += 1
        with contextlib.suppress(OSError):
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.pwrite(file, b"%020d" % self.number, 0)
            finally:
                os.close(file)

    def end(self) -> None:
        """Removes the file, if this wrote it."""
        if self.number:
            with contextlib.suppress(OSError):
                self.path.unlink()


class Watch:
    """What another process sees of a pulse.

    Args:
        path: of the file.

    Attributes:
        lives: whether the number has grown while this looked.
    """

    def __init__(self, path: Path):
        self.path, self.lives, self.since = path, False, time.monotonic()
        self.seen = self.number()

    def number(self) -> bytes:
        """What the file holds; empty where it is missing or about to be written."""
        try:
            return self.path.read_bytes()
        except OSError:
            return b""

    def silence(self) -> float:
        """The seconds for which the number has been the same; a file that is missing is one."""
        now = self.number()
        if now not in (b"", self.seen):
            self.seen, self.lives, self.since = now, True, time.monotonic()
        return time.monotonic() - self.since

    def is_dead(self) -> bool:
        """Whether the writer of the pulse is taken for dead."""
        return self.silence() > SILENT


class Watches(dict[Path, Watch]):
    """What this process sees of some pulses, by their files; looking at one begins with asking."""

    def __missing__(self, path: Path) -> Watch:
        return self.setdefault(path, Watch(path))


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
