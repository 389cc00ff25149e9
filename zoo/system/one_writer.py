"""One writer a folder: contexts in which this process alone writes there."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError, ResourceError
from zoo.system.console import say
from zoo.system.heartbeat import SILENT, Background
from zoo.system.lease import ALIVE, Lease, pulse_in

WRITER = ".writer"  # the lease of a folder
PAUSE = 0.1  # seconds until one who waits looks again


def is_of_writer(path: Path) -> bool:
    """Whether a path is a file by which a writer says that it writes there and lives."""
    return path.name == WRITER or path.name.startswith(ALIVE)


@contextlib.contextmanager
def only_writer(folder: Path | None) -> Iterator[None]:
    """A context in which this process alone writes in a run folder.

    A process on another machine is first waited for until it gives a sign of life.

    Args:
        folder: of the run; None: this process does not write.

    Errors:
        ConfigError: another process does.
    """
    if folder is None:
        yield
        return
    with held(taken(folder, waits=False)):
        yield


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """A context in which this process alone writes in a folder; it waits for others before."""
    with held(taken(folder, waits=True)):
        yield


def taken(folder: Path, waits: bool) -> Lease:
    """The lease of a folder, which this process now has.

    Args:
        folder: whose lease it is.
        waits: whether to wait for a living process that has it.

    Errors:
        ConfigError: a living process has it, for which is not waited.
    """
    lease, announced = Lease(folder / WRITER), False
    while (owner := lease.take()) is not None:
        lives = lease.watch is None or lease.watch.lives
        if lives and not waits:
            fix = "wait until it has ended, or stop it"
            raise ConfigError(f"{name_of(owner)} is writing in this run folder", str(folder), fix)
        if not announced:
            doubt = "" if lives else f", or for {SILENT:.0f} s without a sign of it"
            say(f"{name_of(owner)} is writing in {folder}; waiting for it{doubt}")
        announced = True
        time.sleep(PAUSE)
    return lease


def forsake(folder: Path) -> None:
    """Removes what says that this process writes in a folder, before it ends by force."""
    for path in (folder / WRITER, pulse_in(folder).path):
        path.unlink(missing_ok=True)


def name_of(owner: dict[str, Any]) -> str:
    """The owner of a lease, in words."""
    return "process {pid} on {host}".format(**{"pid": "?", "host": "this machine", **owner})


@contextlib.contextmanager
def held(lease: Lease) -> Iterator[None]:
    """A context that renews a taken lease in the background and releases it at the end.

    If the lease is lost, this process ends at once, since another one writes in the folder.
    """

    def beat() -> None:
        if not lease.beat():
            what = f"{lease.path.name} is gone, or of another process that took this one's place"
            fix = "leave the folder to it, or continue by fit from= once it has ended"
            say(f"error: {ResourceError(what, str(lease.path.parent), fix)}")
            os._exit(ResourceError.code)

    heart = Background(beat)
    try:
        yield
    finally:
        heart.stop()
        lease.release()
