"""The workers of this machine for a comparison."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.compare.design.spec import Comparison
from zoo.compare.execution.engine import Local
from zoo.compare.execution.store import Store


def visible_gpus() -> list[str]:
    """The GPUs of this machine that CUDA may see, as CUDA names them; `-1` ends its list."""
    every = (str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    named = every if visible is None else (name.strip() for name in visible.split(","))
    return list(itertools.takewhile(lambda name: name not in ("", "-1"), named))


@contextmanager
def local(options: Comparison, store: Store) -> Iterator[Local]:
    """The engine of this machine; its workers end with the block, also by SIGTERM."""
    gpus = visible_gpus()
    count = options.workers or len(gpus) * options.per_gpu or os.cpu_count() or 1
    engine = Local(count, store.logs, 60 * options.minutes, per_gpu=options.per_gpu, gpus=gpus)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield engine
    finally:
        signal.signal(signal.SIGTERM, before)
        engine.close()
