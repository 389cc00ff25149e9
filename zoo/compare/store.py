"""The folder of a comparison: finished cells by their address, and leases on those in flight.

`cells/ID/` is a run folder, moved there whole when the run has ended. A lease is a file of its
owner, who touches it again and again; that of a dead owner is taken over. No database.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError
from zoo.folder import ENDED, RunFolder, write_whole

STALE = 120.0  # seconds after which an owner that is silent is taken for dead


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
        self.held: set[str] = set()

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
        lease = self.leases / cell
        with self.locked():
            if self.result(cell) is not None or (cell not in self.held and alive(lease, self.me)):
                return False
            write_whole(lease, json.dumps(self.me))
        self.held.add(cell)
        return True

    def beat(self) -> None:
        """Says that we are alive."""
        for cell in self.held:
            with contextlib.suppress(FileNotFoundError):
                (self.leases / cell).touch()

    def release(self, cell: str) -> None:
        """Gives a lease back."""
        self.held.discard(cell)
        (self.leases / cell).unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; the lock of a killed process opens by itself."""
        with (self.leases / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def sweep(self) -> None:
        """Removes what dead processes left behind."""
        with self.locked():
            for lease in self.leases.glob("[!.]*"):
                if lease.name not in self.held and not alive(lease, self.me):
                    lease.unlink(missing_ok=True)
            for folder in self.cells.glob(".*"):
                *_, pid = folder.name.rpartition(".")
                here = f".{self.me['host']}." in folder.name
                if here and not (pid.isdigit() and process_lives(int(pid))):
                    shutil.rmtree(folder, ignore_errors=True)


def alive(lease: Path, me: dict[str, Any]) -> bool:
    """Whether a lease is there and its owner lives: it touched it, and if here has a process."""
    try:
        owner = json.loads(lease.read_text(encoding="utf-8"))
        silent = time.time() - lease.stat().st_mtime
    except (FileNotFoundError, ValueError):
        return False
    here = owner["host"] == me["host"]
    gone = here and (owner["pid"] == me["pid"] or not process_lives(owner["pid"]))
    return silent < STALE and not gone


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
