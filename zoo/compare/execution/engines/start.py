"""The engine that a comparison names, from its start to its end."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.compare.design.spec import Comparison
from zoo.compare.execution.engine import WORKER, Engine, Terms
from zoo.config import registry
from zoo.errors import ConfigError

FILES, EACH = 256, 4  # open files of a comparison, and of each of its workers: lease and pipes


def new_engine(
    options: Comparison, logs: Path, program: Sequence[str] = WORKER, devices: int = 1
) -> Engine:
    """The engine of a comparison, which does nothing yet.

    Args:
        options: of the comparison.
        logs: folder for the messages of workers, which need not exist yet.
        program: the words after `python` that start a worker.
        devices: the most that a run asks for.

    Errors:
        ConfigError, ResourceError: it cannot work here, or not with so many workers.
    """
    allow_files(options.workers or 0)
    make = registry.factory("engine", options.engine, options.engine_options)
    engine: Engine = make(Terms(logs, options.workers, 60 * options.minutes, program, devices))
    return engine


def allow_files(workers: int) -> None:
    """Has the system allow this process as many open files as some workers need.

    Errors:
        ConfigError: it allows fewer at most.
    """
    needed, (soft, hard) = FILES + EACH * workers, resource.getrlimit(resource.RLIMIT_NOFILE)
    if needed <= soft or soft == resource.RLIM_INFINITY:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        what = f"the system allows {hard} open files, and they need {needed}"
        fix = f"give workers={max(1, (hard - FILES) // EACH)} at most"
        raise ConfigError(what, f"workers={workers}", fix) from None


@contextmanager
def at_work(engine: Engine) -> Iterator[Engine]:
    """A context of an engine, whose workers end with it, also by SIGTERM."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield engine
    finally:
        try:
            engine.close()
        finally:
            signal.signal(signal.SIGTERM, before)
