"""What reading a large file has told, kept as long as the file stays as it is."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.data.cache import cache_folder, writable
from zoo.system.atomic import atomic_write

SMALL = 2**24  # bytes that are read again in no time
SETTLED = 2.0  # seconds after a change within which another one may bear the same time


def stamp(files: Sequence[Path]) -> str:
    """A text that is another one once a file has changed.

    It is empty where one has just been written, or all are small. The system sets a file's
    `st_ctime`, so that no copy or edit can hide behind an old date.
    """
    stats = [(os.path.realpath(file), file.stat()) for file in files]
    if sum(stat.st_size for _, stat in stats) < SMALL:
        return ""
    if time.time() - max(stat.st_ctime for _, stat in stats) < SETTLED:
        return ""
    times = [(path, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path, s in stats]
    return repr(times)


def remembered(name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found under a name before, or else is found now and kept in the cache.

    Args:
        name: that stands for one content, such as a `stamp`; empty: nothing is kept.
        find: gives the findings as plain values of JSON.
    """
    if not name:
        return find()
    folder = cache_folder("known")
    path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = find()
        writable(folder)
        atomic_write(path, json.dumps(known))
    return known
