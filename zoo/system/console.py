"""Standard streams and caches that cannot stop a run: closed, broken, without letters or room."""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import os
import re
import shutil
import sys
import tempfile

from zoo.errors import escaped, shown
from zoo.system.paths import user_folder

CACHES = (
    ("MPLCONFIGDIR", "config", "matplotlib"),
    ("MPLCONFIGDIR", "cache", "matplotlib"),
    ("WANDB_CACHE_DIR", "cache", "wandb"),
    ("WANDB_CONFIG_DIR", "home", ".config/wandb"),
    ("WANDB_DATA_DIR", "data", "wandb"),
)  # folders in which libraries keep what they can do without, with the variables that move them


STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Plain(io.TextIOWrapper):
    """A text stream whose letters steer no terminal: those that would are written as escapes.

    Line ends, tabs and the return of a bar stay as they are.
    """

    def write(self, text: str) -> int:
        return super().write(STEERING.sub(lambda found: escaped(found[0]), text))


class Messages(Plain):
    """Such a stream for messages; what can no longer be written is dropped."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


class OneLine(logging.Formatter):
    """A message is one line, whatever names it holds."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = shown(record.message)
        return super().formatMessage(record)


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
    encodings = [stream.encoding if stream else "utf-8" for stream in (sys.stdout, sys.stderr)]
    out, err = (open(number, "wb", closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.stdout = Plain(out, encodings[0], "backslashreplace", line_buffering=out.isatty())
    sys.stderr = Messages(err, encodings[1], "backslashreplace", line_buffering=True)


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
