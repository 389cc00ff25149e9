"""Standard streams that cannot stop a run: closed, broken or without the letters of a name."""

from __future__ import annotations

import contextlib
import io
import os
import sys


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
