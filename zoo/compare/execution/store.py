"""The folder of a comparison: finished cells by their address, and leases on those that run.

`cells/ID/` is a run folder, moved there whole when the run has ended. A lease is a file that names
its owner, who gives signs of life beside it; that of a dead owner is taken over. There is no
database.
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
from zoo.system.heartbeat import Background, Watches
from zoo.system.lease import ALIVE, Lease, pulse_in, sweep
from zoo.system.shared_folder import is_seen

RESULT = "result.json"  # of a run folder
LOGS = "logs"  # folder of what workers say


class Store:
    """Cells and leases in one folder that several processes may share.

    Args:
        path: of the folder, which is made.

    Errors:
        ConfigError: the folder cannot be made.
    """

    def __init__(self, path: Path):
        self.path = path
        self.cells, self.leases, self.logs = path / "cells", path / "leases", path / LOGS
        try:
            for folder in (self.cells, self.leases, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fix = "name one that can be written: dir=FOLDER"
            raise ConfigError(str(error.strerror), f"dir={path.absolute()}", fix) from None
        self.name = f"{socket.gethostname()}.{os.getpid()}"
        self.pulse = pulse_in(self.leases)
        self.heart: Background | None = None
        self.watches, self.held = Watches(), dict[str, Lease]()
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
        self.remove_attempts(cell)
        shutil.rmtree(self.cells / cell, ignore_errors=True)
        return self.cells / f".{cell}.{self.name}.{next(self.attempts)}"

    def remove_attempts(self, cell: str) -> None:
        """Removes half-run folders of a cell, whose lease this process holds."""
        for left in self.cells.glob(f".{cell}.*"):
            shutil.rmtree(left, ignore_errors=True)

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
        except FileNotFoundError:  # another process took the run over
            return "its folder was removed"
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(folder, ignore_errors=True)
        return "" if is_seen(target / RESULT) else "another folder lies at its address"

    def acquire(self, cell: str) -> bool:
        """Acquires the lease of a cell; False where it is finished or a living process has it."""
        if self.heart is None:
            self.heart = Background(self.pulse.beat)
        lease = Lease(self.leases / cell, self.watches)
        if lease.take() is not None:
            return False
        self.held[cell] = lease
        os.listdir(self.cells)  # has a shared file system look again whether it is finished
        if self.is_finished(cell):
            self.release(cell)
        return cell in self.held

    def release(self, cell: str) -> bool:
        """Gives the lease of a cell back; whether this process had it until now.

        Another one has it where this process gave no sign of life for long, as one that slept.
        """
        lease = self.held.pop(cell)
        kept = lease.ours()
        lease.release()
        return kept

    def close(self) -> None:
        """Gives all leases back, once no worker runs any more, and removes what is half run."""
        for cell in list(self.held):
            self.release(cell)
        if self.heart:
            self.heart.stop()
            self.pulse.end()
        self.clean_up()

    def clean_up(self) -> None:
        """Removes what dead processes left behind: leases, signs of life and half-run folders.

        A process of another machine is dead once no sign of it was seen for long, which may be
        known when this is called again.
        """
        run = {path.name for path in self.leases.glob("[!.]*")}
        begun = {path.name.split(".")[1] for path in self.cells.glob(".*")}
        for cell in sorted((run | begun) - self.held.keys()):
            lease = Lease(self.leases / cell, self.watches)
            if lease.take() is None:
                self.remove_attempts(cell)
                lease.release()
        for path in self.leases.glob(f"{ALIVE}*"):
            if self.watches[path].is_dead():
                path.unlink(missing_ok=True)
        for folder in (self.path, self.leases):
            sweep(folder)
