"""Standard streams and caches of libraries, so that broken or full ones cannot stop a run."""

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
)  # folders of libraries' caches and settings, with the variables that move them

STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class EscapedStream(io.TextIOWrapper):
    """A text stream that writes characters which would steer a terminal as escapes.

    Line ends, tabs and the carriage return of a progress bar stay as they are.
    """

    def write(self, text: str) -> int:
        return super().write(STEERING.sub(lambda match: escaped(match[0]), text))


class MessageStream(EscapedStream):
    """Such a stream for messages, which drops what it can no longer write."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


class OneLine(logging.Formatter):
    """Formats every log message as one line, even with line ends in the names it holds."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = shown(record.message)
        return super().formatMessage(record)


def open_standard_streams() -> None:
    """Opens all three standard streams, whatever the process was started with.

    A closed one is opened on the null device, before another file takes its number. Letters that
    an encoding lacks are written as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    encodings = [stream.encoding if stream else "utf-8" for stream in (sys.stdout, sys.stderr)]
    out, err = (open(number, "wb", closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.stdout = EscapedStream(out, encodings[0], "backslashreplace", line_buffering=out.isatty())
    sys.stderr = MessageStream(err, encodings[1], "backslashreplace", line_buffering=True)


def say(text: str) -> None:
    """Writes one line to stderr, for times when no run has a log yet."""
    print(f"zoo: {shown(text)}", file=sys.stderr)


def spare_caches() -> None:
    """Gives libraries a folder for this process where theirs cannot be written, and says so."""
    folders = [(name, os.environ.get(name) or user_folder(*where)) for name, *where in CACHES]
    lost = [(name, folder) for name, folder in folders if not (folder and writable(folder))]
    if lost:
        spare = tempfile.mkdtemp(prefix="zoo-")
        atexit.register(shutil.rmtree, spare, ignore_errors=True)
        names = dict.fromkeys(name for name, _ in lost)
        os.environ.update(dict.fromkeys(names, spare))
        where = ", ".join(dict.fromkeys(folder or "~, which is unknown" for _, folder in lost))
        say(f"cannot write {where}: nothing is kept there; set {', '.join(names)} elsewhere")


def writable(folder: str) -> bool:
    """Whether files can be written into a folder, which is made if it is missing."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
