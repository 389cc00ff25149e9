"""The engine that a comparison names, from its start to its end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from zoo.compare.design.spec import Comparison
from zoo.compare.execution.engine import WORKER, Engine, Terms
from zoo.compare.execution.store import Store
from zoo.config import registry


@contextmanager
def started_engine(
    options: Comparison, store: Store, program: Sequence[str] = WORKER, devices: int = 1
) -> Iterator[Engine]:
    """The engine of a comparison; its workers end with the block, also by SIGTERM.

    Args:
        options: of the comparison.
        store: in whose folder the workers write their messages.
        program: the words after `python` that start a worker.
        devices: the most that a run asks for.
    """
    make = registry.factory("engine", options.engine, options.engine_options)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        seconds = 60 * options.minutes
        engine: Engine = make(Terms(store.logs, options.workers, seconds, program, devices))
        try:
            yield engine
        finally:
            engine.close()
    finally:
        signal.signal(signal.SIGTERM, before)
