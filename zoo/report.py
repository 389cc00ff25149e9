"""The result of a verb of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DIFFERS = 7  # the exit code of a verb that ended and found a difference that should not be


@dataclass(frozen=True)
class Report:
    """The result of a verb, for programs and for people.

    Args:
        record: plain values, printed as JSON with `--json`.
        text: printed without `--json`.
        code: the exit code.
    """

    record: Any
    text: str
    code: int = 0
