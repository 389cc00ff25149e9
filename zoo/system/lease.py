"""One writer a folder: a file in it says which process writes, and whether that still lives."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import tempfile
import threading
import time
import uuid
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
        path: the file, in an existing folder. It is removed when the lease is released.
    """

    def __init__(self, path: Path):
        self.path = path
        self.file: TextIO | None = None
        self.me = {"host": socket.gethostname(), "pid": os.getpid()}

    def take(self) -> dict[str, Any] | None:
        """Takes the lease unless another process has it.

        Returns:
            None if this process now has it, else its owner: `host` and `pid`.
        """
        while self.file is None:
            if created := self.created():
                self.file = created
                break
            file = self.path.open("a+", encoding="utf-8")
            locked = lock(file)
            owner = owner_in(file)
            far = owner.get("host") != self.me["host"] or locked is None
            if locked is False or (owner and far and age(file, self.path.parent) < STALE):
                file.close()
                return owner
            if not same(file, self.path):  # its last owner has removed it since
                file.close()
                continue
            self.file = file
            try:
                file.truncate(0)
                write(file, self.me)
            except OSError as error:
                self.path.unlink(missing_ok=True)
                self.release()
                raise OSError(error.errno, error.strerror, str(self.path)) from None
        return None

    def created(self) -> TextIO | None:
        """The new and locked file of a lease that nobody has; None where there is one already.

        It appears with its owner in it, and for one process alone: so much a file system that
        several machines share holds, also where it tells of changes late and has no locks.
        """
        if self.path.exists():
            return None
        name = self.path.with_name(f".lease.tmp{uuid.uuid4().hex}")
        file = name.open("x+", encoding="utf-8")  # for whom the user's umask allows
        try:
            lock(file)
            write(file, self.me)
            os.link(name, self.path)
        except OSError:  # it is there, or the file system knows no links
            file.close()
            return None
        finally:
            Path(name).unlink(missing_ok=True)  # its owner may have swept the folder
        return file

    def beat(self) -> bool:
        """Renews the lease; False where another process has it now, or had it meanwhile."""
        try:
            if not self.ours():
                return False
            os.utime(self.path)
        except OSError:  # the file system does not answer
            return self.file is not None
        return True

    def ours(self) -> bool:
        """Whether this process still has the lease."""
        try:
            with self.path.open(encoding="utf-8") as file:
                return self.file is not None and owner_in(file) == self.me
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Gives up the lease and removes its file."""
        if self.file:
            with contextlib.suppress(OSError):
                if self.ours():
                    self.path.unlink(missing_ok=True)
            self.file.close()
            self.file = None


def lock(file: TextIO) -> bool | None:
    """Locks a file; False if another process has it locked, None if the file system cannot."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def write(file: TextIO, owner: dict[str, Any]) -> None:
    """Writes the owner of a lease, also for other machines to read."""
    file.write(json.dumps(owner))
    file.flush()
    os.fsync(file.fileno())


def owner_in(file: TextIO) -> dict[str, Any]:
    """The owner that a lease's file names; empty before it is written."""
    file.seek(0)
    try:
        written = json.loads(file.read())
        return {"host": written["host"], "pid": written["pid"]}
    except (ValueError, TypeError, KeyError):
        return {}


def age(file: TextIO, folder: Path) -> float:
    """Seconds since a file was renewed, by the clock of its file system, one for all machines."""
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
    """A context in which this process alone writes in a run folder.

    Args:
        folder: of the run; None: this process does not write.

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
def exclusive(folder: Path) -> Iterator[None]:
    """A context in which this process alone writes in a folder; it waits for others before."""
    lease, announced = Lease(folder / WRITER), False
    while (owner := lease.take()) is not None:
        if not announced:
            say(f"{name_of(owner)} is writing in {folder}; waiting for it")
        announced = True
        time.sleep(PAUSE)
    with held(lease):
        yield


def name_of(owner: dict[str, Any]) -> str:
    """The owner of a lease, in words."""
    return "process {pid} on {host}".format(**{"pid": "?", "host": "this machine", **owner})


@contextlib.contextmanager
def held(lease: Lease) -> Iterator[None]:
    """A context that renews a taken lease in the background and releases it at the end.

    If the lease is lost, this process ends at once, since another one writes in the folder.
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
