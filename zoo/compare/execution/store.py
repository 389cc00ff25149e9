"""The folder of a comparison: finished cells by their address, and leases on those that run.

`cells/ID/` is a run folder, moved there whole when the run has ended. A lease is a file that names
its owner; that of a dead owner is taken over. There is no database.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import ConfigError
from zoo.run_folder import ENDED, RunFolder
from zoo.system.lease import Lease


class Store:
    """Cells and leases in one folder that several processes may share.

    Args:
        path: of the folder, which is made.

    Errors:
        ConfigError: the folder cannot be made.
    """

    def __init__(self, path: Path):
        self.path = path
        self.cells, self.leases, self.logs = path / "cells", path / "leases", path / "logs"
        try:
            for folder in (self.cells, self.leases, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fix = "name one that can be written: dir=FOLDER"
            raise ConfigError(str(error.strerror), f"dir={path.absolute()}", fix) from None
        self.me = {"host": socket.gethostname(), "pid": os.getpid()}
        self.held: dict[str, Lease] = {}

    def is_finished(self, cell: str) -> bool:
        """Whether the cell of an address has a result."""
        return RunFolder(self.cells / cell).result().get("status") in ENDED

    def seconds(self, cell: str) -> float | None:
        """The seconds of training and evaluation that a finished cell took, if it says so."""
        seconds = RunFolder(self.cells / cell).result().get("seconds")
        return float(seconds) if isinstance(seconds, (int, float)) else None

    def empty_folder(self, cell: str) -> Path:
        """The path of a folder for this process to run a cell in; what was there is removed."""
        folder = self.cells / f".{cell}.{self.me['host']}.{self.me['pid']}"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def commit(self, cell: str, folder: Path) -> None:
        """Moves the folder of a finished run to its address, unless a result lies there."""
        with self.locked():
            if not self.is_finished(cell):
                shutil.rmtree(self.cells / cell, ignore_errors=True)
                folder.rename(self.cells / cell)
        shutil.rmtree(folder, ignore_errors=True)

    def acquire(self, cell: str) -> bool:
        """Acquires the lease of a cell; False where it is finished or a living process has it."""
        lease = self.held.setdefault(cell, Lease(self.leases / cell))
        if lease.take() is None and not self.is_finished(cell):
            return True
        self.release(cell)
        return False

    def heartbeat(self) -> None:
        """Renews all leases as a sign that this process lives."""
        for lease in self.held.values():
            lease.beat()

    def release(self, cell: str) -> None:
        """Gives the lease of a cell back."""
        self.held.pop(cell).release()

    def release_all(self) -> None:
        """Gives all leases back."""
        for cell in list(self.held):
            self.release(cell)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time into the block; the lock opens when its process ends."""
        with (self.leases / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def clean_up(self) -> None:
        """Removes the leases and the half-run folders that dead processes left behind."""
        with self.locked():
            for path in self.leases.glob("[!.]*"):
                if path.name not in self.held and (lease := Lease(path)).take() is None:
                    lease.release()
            for folder in self.cells.glob(".*"):
                *_, pid = folder.name.rpartition(".")
                here = f".{self.me['host']}." in folder.name
                if here and not (pid.isdigit() and process_lives(int(pid))):
                    shutil.rmtree(folder, ignore_errors=True)


def process_lives(pid: int) -> bool:
    """Whether a process lives; a zombie does not, where the system tells it apart."""
    if not Path("/proc/self/stat").is_file():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
