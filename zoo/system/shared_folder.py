"""Files that several machines share: whether one sees what another one wrote."""

from __future__ import annotations

import os
import socket
import time
import uuid
from pathlib import Path

from zoo.errors import ConfigError

LAG = 20.0  # seconds after which a shared file system shows a new file everywhere
PAUSE = 0.1  # seconds until one who waits looks again


def sign(file: Path) -> str:
    """Appends a line that no other file has, by which who sees it knows the file; returns it."""
    line = f"of process {os.getpid()} on {socket.gethostname()}, {uuid.uuid4().hex}\n"
    with file.open("a", encoding="utf-8") as opened:
        opened.write(line)
    return line


def is_seen(path: Path, line: str = "", seconds: float = LAG) -> bool:
    """Whether a path exists here, now or within some seconds.

    Args:
        path: of a file or a folder.
        line: that the file has; empty: it may hold anything.
        seconds: within which it comes to be seen.
    """
    latest = time.monotonic() + seconds
    while not (path.exists() and (not line or line in text_of(path))):
        if time.monotonic() > latest:
            return False
        time.sleep(PAUSE)
    return True


def text_of(file: Path) -> str:
    """What a file holds; empty where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def not_seen(host: str, folder: str) -> ConfigError:
    """The error where a machine does not see a folder."""
    fix = "work in a folder that all machines of the cluster share, and give dir= there"
    return ConfigError(f"{host} does not see this folder", folder, fix)
