"""What W&B has of a comparison, kept in its folder: the key of its runs, and which it has."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import threading
from pathlib import Path
from typing import Any

from zoo.system.atomic import atomic_write

FILE = "mirrored.json"


class Sent:
    """The runs of a comparison that were sent; threads may note more at once.

    Args:
        path: of the folder of the comparison.

    Errors:
        ValueError: the file is damaged.

    Attributes:
        key: of all its runs at W&B, made once: the folder may move, and be one of many at a path.
        runs: addresses of those that were sent.
    """

    def __init__(self, path: Path):
        self.file = path / FILE
        self.writing = threading.Lock()
        begun: dict[str, Any] = {"key": secrets.token_hex(4), "runs": []}
        known = read(self.file) if self.file.is_file() else begun
        self.key: str = known["key"]
        self.runs: list[str] = known["runs"]
        self.write()

    def note(self, run: str) -> None:
        """Notes that the run of an address was sent."""
        with self.writing:
            self.runs.append(run)
            self.write()

    def write(self) -> None:
        """Writes the file."""
        atomic_write(self.file, json.dumps({"key": self.key, "runs": self.runs}))


def read(file: Path) -> dict[str, Any]:
    """What a file says that `Sent` wrote, or that an earlier version did, whose key is of its path.

    Errors:
        ValueError: it says nothing of the kind.
    """
    with contextlib.suppress(ValueError, KeyError, TypeError):
        known = json.loads(file.read_text())
        if isinstance(known, list):
            key = hashlib.sha256(str(file.parent.resolve()).encode()).hexdigest()[:8]
            known = {"key": key, "runs": known}
        if isinstance(known["key"], str) and isinstance(known["runs"], list):
            return dict(known)
    raise ValueError(f"{file} is damaged; without it all runs are sent anew, in another group")
