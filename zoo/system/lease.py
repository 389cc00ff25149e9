"""One writer: a file tells which process writes in a place, and whether it still lives."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from zoo.errors import ConfigError, ResourceError
from zoo.system.console import say

STALE = 120.0  # seconds after which an owner on another machine that is silent is taken for dead
WRITER = ".writer"  # the lease of a run folder
BEAT = 5.0  # seconds between two signs of life
PAUSE = 0.1  # seconds until one who waits looks again


class Lease:
    """A file that this process alone may hold.

    On one machine the system's lock on the file counts: it opens when its process ends, however
    it ends, and stays closed while the process is merely stopped. A process on another machine
    that shares the file system is seen by the age of the file, which `beat` renews; one that slept
    and was taken for dead loses the lease.

    Args:
        path: the file; its folder is there. It is removed when the lease is given back.
    """

    def __init__(self, path: Path):
        self.path = path
        self.file: TextIO | None = None
        self.me = {"host": socket.gethostname(), "pid": os.getpid()}

    def take(self) -> dict[str, Any] | None:
        """None where the lease is now ours, else its owner: `host` and `pid`."""
        while self.file is None:
            file = self.path.open("a+", encoding="utf-8")
            locked = lock(file)
            owner = read(file)
            far = owner.get("host") != self.me["host"] or locked is None
            if locked is False or (owner and far and age(file, self.path.parent) < STALE):
                file.close()
                return owner
            if not same(file, self.path):  # its last owner has removed it since
                file.close()
                continue
            file.truncate(0)
            file.write(json.dumps(self.me))
            file.flush()
            self.file = file
        return None

    def beat(self) -> bool:
        """Says that we are alive; False where another has the lease now, or had it meanwhile."""
        try:
            if not self.ours():
                return False
            os.utime(self.path)
        except OSError:  # the file system does not answer
            return self.file is not None
        return True

    def ours(self) -> bool:
        """Whether the lease is still in our hands."""
        try:
            with self.path.open(encoding="utf-8") as file:
                return self.file is not None and read(file) == self.me
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Gives the lease back."""
        if self.file:
            with contextlib.suppress(OSError):
                if self.ours():
                    self.path.unlink(missing_ok=True)
            self.file.close()
            self.file = None


def lock(file: TextIO) -> bool | None:
    """Whether the system's lock is ours; None on a file system that has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def read(file: TextIO) -> dict[str, Any]:
    """Who wrote a lease; nothing for one not yet written."""
    file.seek(0)
    try:
        written = json.loads(file.read())
        return {"host": written["host"], "pid": written["pid"]}
    except (ValueError, TypeError, KeyError):
        return {}


def age(file: TextIO, folder: Path) -> float:
    """Seconds since a file was renewed, by the clock that its file system has for all machines."""
    with tempfile.TemporaryFile(prefix=".lease.tmp", dir=folder) as fresh:
        return os.fstat(fresh.fileno()).st_mtime - os.fstat(file.fileno()).st_mtime


def same(file: TextIO, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def only_writer(folder: Path | None) -> Iterator[None]:
    """Nobody else writes in a run folder meanwhile; None: this process does not write.

    Errors:
        ConfigError: another process does.
    """
    if folder is None:
        yield
        return
    lease = Lease(folder / WRITER)
    owner = lease.take()
    if owner is not None:
        fix = "wait until it has ended, or stop it"
        raise ConfigError(f"{name_of(owner)} is writing in this run folder", str(folder), fix)
    with held(lease):
        yield


@contextlib.contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Nobody else writes in a folder meanwhile; who comes while another one writes waits."""
    lease, told = Lease(folder / WRITER), False
    while (owner := lease.take()) is not None:
        if not told:
            say(f"{name_of(owner)} is writing in {folder}; waiting for it")
        told = True
        time.sleep(PAUSE)
    with held(lease):
        yield


def name_of(owner: dict[str, Any]) -> str:
    """An owner in words."""
    return "process {pid} on {host}".format(**{"pid": "?", "host": "this machine", **owner})


@contextlib.contextmanager
def held(lease: Lease) -> Iterator[None]:
    """Gives signs of life for a lease that was taken, and gives it back at the end.

    This process ends at once where the lease was lost: another one writes in its place.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            if not lease.beat():
                what = (
                    f"{lease.path.name} is gone, or of another process that took this one's place"
                )
                fix = "leave the folder to it, or continue by fit from= once it has ended"
                say(f"error: {ResourceError(what, str(lease.path.parent), fix)}")
                os._exit(ResourceError.code)

    thread = threading.Thread(target=beat, name="zoo-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        lease.release()
