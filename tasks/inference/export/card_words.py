"""Names, numbers and tables of a model card, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from zoo.errors import shown


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; its cells are Markdown."""
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def number(value: Any) -> str:
    """A number with five digits; nothing for what is none."""
    return f"{value:.5g}" if isinstance(value, (int, float)) else ""


def count(value: Any) -> str:
    """A whole number with its thousands apart; nothing for what is none."""
    return f"{value:,}" if isinstance(value, int) else ""


def plain(text: object) -> str:
    r"""A text on one line that Markdown shows as it is.

    >>> print(plain("<b> | [a](b)\n_c_ http://x"))
    \<b\> \| \[a\](b) \_c\_ http\://x
    """
    line = shown(" ".join(str(text).split()))
    return re.sub(r"([\\`*_\[\]<>|~&$@{}!]|:(?=//))", r"\\\1", line)


def code(text: object) -> str:
    """A text on one line as code, which Markdown leaves as it is outside of tables."""
    line = shown(" ".join(str(text).split()))
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if fence != "`" else f"`{line}`"
