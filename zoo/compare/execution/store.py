"""The folder of a comparison: finished cells by their address, and leases on those that run.

`cells/ID/` is a run folder, moved there whole when the run has ended. A lease is a file that names
its owner; that of a dead owner is taken over. There is no database.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import socket
from pathlib import Path

from zoo.errors import ConfigError
from zoo.run_folder import ENDED, RunFolder
from zoo.system.lease import Lease
from zoo.system.shared_folder import is_seen

RESULT = "result.json"  # of a run folder


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
        self.attempts = itertools.count()

    def is_finished(self, cell: str) -> bool:
        """Whether the cell of an address has a result."""
        return RunFolder(self.cells / cell).result().get("status") in ENDED

    def seconds(self, cell: str) -> float | None:
        """The seconds of training and evaluation that a finished cell took, if it says so."""
        seconds = RunFolder(self.cells / cell).result().get("seconds")
        return float(seconds) if isinstance(seconds, (int, float)) else None

    def empty_folder(self, cell: str) -> Path:
        """The path of a new folder to run a cell in, whose lease this process holds.

        No other attempt had this name, so that a worker that was given up, but lives on a machine
        that cannot be reached, spoils none. What earlier attempts left is removed.
        """
        mine = f".{cell}.{self.me['host']}.{self.me['pid']}"
        for left in (self.cells / cell, *self.cells.glob(f"{mine}.*")):
            shutil.rmtree(left, ignore_errors=True)
        return self.cells / f"{mine}.{next(self.attempts)}"

    def commit(self, cell: str, folder: Path) -> str:
        """Moves the folder of a finished run to its address, unless a result lies there.

        The system renames at once, and never over a folder with files: the first result stays.

        Returns:
            Why there is no result at the address; empty where there is one.
        """
        target = self.cells / cell
        if not is_seen(folder / RESULT):
            return "the worker left no result"
        try:
            folder.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(folder, ignore_errors=True)
        return "" if is_seen(target / RESULT) else "another folder lies at its address"

    def acquire(self, cell: str) -> bool:
        """Acquires the lease of a cell; False where it is finished or a living process has it."""
        lease = self.held.setdefault(cell, Lease(self.leases / cell))
        if lease.take() is None:
            os.listdir(self.cells)  # has a shared file system look again whether it is finished
            if not self.is_finished(cell):
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

    def clean_up(self) -> None:
        """Removes the leases and the half-run folders that dead processes left behind."""
        for path in self.leases.glob("[!.]*"):
            if path.name not in self.held and (lease := Lease(path)).take() is None:
                lease.release()
        for folder in self.cells.glob(".*"):
            *_, pid = folder.name.rpartition(".")[0].rpartition(".")  # before the attempt's number
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
