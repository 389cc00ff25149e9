"""A lease: a file in a folder that says which process has it, and whether that still lives."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
import uuid
from pathlib import Path
from typing import Any, TextIO

from zoo.system.heartbeat import Pulse, Watch, Watches

ALIVE = ".alive."  # begins the name of an owner's sign of life
FRESH = ".lease.tmp"  # begins the name of a lease that is being made


class Lease:
    """A file that this process alone may hold.

    On one machine the system's lock on the file counts: it opens when its process ends, however
    it ends, and stays closed while the process is merely stopped. The owner on another machine
    that shares the folder is watched by its pulse there, `.alive.HOST.PID`; one that slept for so
    long that it was taken for dead loses the lease.

    Args:
        path: the file, in an existing folder. It is removed when the lease is released.
        watches: of owners on other machines; leases that share them judge an owner together.

    Attributes:
        watch: of the owner that the last `take` met on another machine; None: its lock is closed.
    """

    def __init__(self, path: Path, watches: Watches | None = None):
        self.path = path
        self.file: TextIO | None = None
        self.watches = Watches() if watches is None else watches
        self.watch: Watch | None = None
        self.me = {"host": socket.gethostname(), "pid": os.getpid()}
        self.pulse = pulse_in(path.parent)

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
            locked, owner, self.watch = lock(file), owner_in(file), None
            if locked is False or (owner and not self.is_dead(owner, bool(locked))):
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
            if owner:
                sign_of(owner, self.path.parent).unlink(missing_ok=True)
        return None

    def is_dead(self, owner: dict[str, Any], locked: bool) -> bool:
        """Whether the owner of the file does not live, or is taken for dead.

        Args:
            owner: that the file names.
            locked: whether this process has its lock now, which tells all on one machine.
        """
        if locked and owner["host"] == self.me["host"]:
            return True
        self.watch = self.watches[sign_of(owner, self.path.parent)]
        return self.watch.is_dead()

    def created(self) -> TextIO | None:
        """The new and locked file of a lease that nobody has; None where there is one already.

        It appears with its owner in it, and for one process alone: so much a file system that
        several machines share holds, also where it tells of changes late and has no locks.
        """
        if self.path.exists():
            return None
        name = self.path.with_name(f"{FRESH}{uuid.uuid4().hex}")
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
        """Gives a sign of life; False where another process has the lease now."""
        with contextlib.suppress(OSError):  # the file system does not answer
            if not self.ours():
                return False
        self.pulse.beat()
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
            self.pulse.end()


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


def sign_of(owner: dict[str, Any], folder: Path) -> Path:
    """The file of a process's signs of life, beside the leases that it has in a folder."""
    return folder / re.sub(r"[^\w.-]", "_", "{}{host}.{pid}".format(ALIVE, **owner))


def pulse_in(folder: Path) -> Pulse:
    """The pulse of this process in a folder, for all leases that it has there."""
    return Pulse(sign_of({"host": socket.gethostname(), "pid": os.getpid()}, folder))


def same(file: TextIO, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def sweep(folder: Path) -> None:
    """Removes what processes left that were killed while they made a lease in a folder.

    One that lives and is about to make one begins again.
    """
    for left in folder.glob(f"{FRESH}*"):
        left.unlink(missing_ok=True)
