"""A command that gives jobs to the tasks of a queue: folder, lease and signs of life."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from zoo.compare.execution.engines.mailbox import Mailbox
from zoo.errors import ResourceError
from zoo.system.heartbeat import SILENT, Background
from zoo.system.lease import Lease

PREFIX = "slurm."  # of a sender's name
LEASE, BOX = ".sender", "mailbox"  # in the folder of a sender


class Sender:
    """The sender of jobs, whose folder bears its name: `slurm.HOST.PID`.

    Args:
        logs: folder of a comparison, for that of the sender.
        cancel: ends the tasks that a sender of some name has in the queue.
    """

    def __init__(self, logs: Path, cancel: Callable[[str], None]):
        self.name = f"{PREFIX}{socket.gethostname()}.{os.getpid()}"
        self.logs, self.cancel = logs.absolute() / self.name, cancel
        self.mailbox, self.lease = Mailbox(self.logs / BOX), Lease(self.logs / LEASE)
        self.others: list[Lease] = []  # of senders before this one
        self.heart: Background | None = None

    def open(self) -> None:
        """Makes the mailbox, and ends what senders that have died left in the queue."""
        boxes = self.logs.parent.glob(f"{PREFIX}*/{BOX}")
        self.others = [Lease(box.with_name(LEASE)) for box in boxes]
        self.end_dead()
        self.logs.mkdir(exist_ok=True)
        self.lease.take()  # before there is a mailbox that seems to be of a dead sender
        self.mailbox.create()
        pulse, lease = self.mailbox.pulse(), self.lease

        def beat() -> None:
            if lease.beat():
                pulse.beat()

        self.heart = Background(beat)

    def end_dead(self) -> None:
        """Ends what senders left in the queue that are now known to be dead."""
        for lease in [*self.others]:
            if lease.take() is None:
                self.cancel(lease.path.parent.name)
                shutil.rmtree(lease.path.with_name(BOX), ignore_errors=True)
                lease.release()
                self.others.remove(lease)

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """A context that says why the mailbox is missing, where another sender has ended this one.

        Errors:
            ResourceError: it has.
        """
        try:
            yield
        except FileNotFoundError:
            if self.lease.ours():
                raise
            what = f"this command gave no sign of life for {SILENT:.0f} s and was taken for dead"
            fix = "what has ended is kept; the same command continues"
            raise ResourceError(what, str(self.logs), fix) from None

    def close(self) -> None:
        """Removes the mailbox."""
        if self.heart:
            self.heart.stop()
        shutil.rmtree(self.mailbox.path, ignore_errors=True)
        self.lease.release()
