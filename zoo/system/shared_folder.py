"""Files that several machines share: whether one sees what another one wrote."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from zoo.errors import ConfigError

LAG = 20.0  # seconds after which a shared file system shows a new file everywhere
PAUSE = 0.1  # seconds until one who waits looks again


def token_in(folder: Path) -> Path:
    """A new file in a folder, by which other machines can tell that they see it."""
    with tempfile.NamedTemporaryFile(prefix=".seen.", dir=folder, delete=False) as file:
        return Path(file.name).absolute()


def is_seen(path: Path, seconds: float = LAG) -> bool:
    """Whether a path exists here, now or within some seconds."""
    latest = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > latest:
            return False
        time.sleep(PAUSE)
    return True


def not_seen(host: str, folder: str) -> ConfigError:
    """The error where a machine does not see a folder."""
    fix = "work in a folder that all machines of the cluster share, and give dir= there"
    return ConfigError(f"{host} does not see this folder", folder, fix)
