"""What a verb of the command line gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DIFFERS = 7  # the exit code of a verb that came to its end and found what should not be


@dataclass(frozen=True)
class Report:
    """What a verb did, for machines and for people.

    Args:
        record: of values that JSON knows, printed with `--json`.
        text: printed without it.
        code: the exit code.
    """

    record: Any
    text: str
    code: int = 0
