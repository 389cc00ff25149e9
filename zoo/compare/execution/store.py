"""The folder of a comparison: finished cells by their address, and leases on those in flight.

`cells/ID/` is a run folder, moved there whole when the run has ended. A lease is a file of its
owner; that of a dead owner is taken over. No database.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError
from zoo.run_folder import ENDED, RunFolder
from zoo.system.lease import Lease


class Store:
    """Cells and leases in one folder that several processes may share.

    Args:
        path: the folder; it is made.

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

    def result(self, cell: str) -> dict[str, Any] | None:
        """The result of a finished cell."""
        record = RunFolder(self.cells / cell).result()
        return record if record.get("status") in ENDED else None

    def fresh(self, cell: str) -> Path:
        """An empty folder of our own in which a cell can run."""
        folder = self.cells / f".{cell}.{self.me['host']}.{self.me['pid']}"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def keep(self, cell: str, folder: Path) -> None:
        """Moves a finished run to its address."""
        with self.locked():
            if self.result(cell) is None:
                shutil.rmtree(self.cells / cell, ignore_errors=True)
                folder.rename(self.cells / cell)
        shutil.rmtree(folder, ignore_errors=True)

    def take(self, cell: str) -> bool:
        """Whether the cell is now ours to run: not finished, and no living process has it."""
        lease = self.held.setdefault(cell, Lease(self.leases / cell))
        if lease.take() is None and self.result(cell) is None:
            return True
        self.release(cell)
        return False

    def beat(self) -> None:
        """Says that we are alive."""
        for lease in self.held.values():
            lease.beat()

    def release(self, cell: str) -> None:
        """Gives a lease back."""
        self.held.pop(cell).release()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; the lock of a killed process opens by itself."""
        with (self.leases / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def sweep(self) -> None:
        """Removes what dead processes left behind."""
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
    """Whether there is such a process, zombies left out where the system tells them apart."""
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
