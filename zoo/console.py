"""Standard streams and caches that cannot stop a run: closed, broken, without letters or room."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import shutil
import sys
import tempfile

from zoo.errors import shown
from zoo.places import user_folder

CACHES = (
    ("MPLCONFIGDIR", "config", "matplotlib"),
    ("MPLCONFIGDIR", "cache", "matplotlib"),
    ("WANDB_CACHE_DIR", "cache", "wandb"),
    ("WANDB_CONFIG_DIR", "home", ".config/wandb"),
    ("WANDB_DATA_DIR", "data", "wandb"),
)  # folders in which libraries keep what they can do without, with the variables that move them


class Messages(io.TextIOWrapper):
    """A text stream for messages; what can no longer be written is dropped."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def settle() -> None:
    """Gives the process all three standard streams, whatever it was started with.

    A closed one is opened on the null device, before a file of ours takes its number. Letters that
    an encoding lacks are written as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    encoding = sys.stderr.encoding if sys.stderr else "utf-8"
    raw = open(2, "wb", closefd=False)  # noqa: SIM115
    sys.stderr = Messages(raw, encoding, "backslashreplace", line_buffering=True)


def say(text: str) -> None:
    """Writes one line to stderr, where no run has begun whose log would have it."""
    print(f"zoo: {shown(text)}", file=sys.stderr)


def spare_caches() -> None:
    """Gives libraries a folder for this process where theirs cannot be written, and says so."""
    places = [(name, os.environ.get(name) or user_folder(*where)) for name, *where in CACHES]
    lost = [(name, place) for name, place in places if not (place and writable(place))]
    if lost:
        spare = tempfile.mkdtemp(prefix="zoo-")
        atexit.register(shutil.rmtree, spare, ignore_errors=True)
        names = dict.fromkeys(name for name, _ in lost)
        os.environ.update(dict.fromkeys(names, spare))
        where = ", ".join(dict.fromkeys(place or "~, which is unknown" for _, place in lost))
        say(f"cannot write {where}: nothing is kept there; set {', '.join(names)} elsewhere")


def writable(place: str) -> bool:
    """Whether a folder is there, or can be made, and can be written."""
    try:
        os.makedirs(place, exist_ok=True)
    except OSError:
        return False
    return os.access(place, os.W_OK | os.X_OK)
