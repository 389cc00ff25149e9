"""What a verb of the command line gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
