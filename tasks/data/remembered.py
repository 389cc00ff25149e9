"""What reading a large file has told, kept as long as the file stays as it is."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.data.cache import cache_folder, writable
from tasks.data.sealed import sealed, unsealed
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
        known = unsealed(path.read_bytes())
    except (OSError, ValueError):
        known = find()
        writable(folder)
        atomic_write(path, sealed(known))
    return known


def contents_of(files: Sequence[Path]) -> str:
    """The SHA-256 of the contents of files, read once as long as these stay as they are."""

    def read() -> dict[str, Any]:
        digest = hashlib.sha256()
        for path in files:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return {"sha256": digest.hexdigest()}

    return str(remembered(stamp(files), read)["sha256"])
