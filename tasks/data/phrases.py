"""Paths, names and numbers as they stand in messages and summaries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Sized

from zoo import errors
from zoo.errors import cut

SHOWN = 3  # names in a message
FEW = 8  # classes that are named in a summary


def shown(path: str | bytes | os.PathLike[str]) -> str:
    r"""A path as text that can be printed, other bytes and control characters escaped.

    >>> shown(b"\xff and \x1b[31m") == r"\xff and \x1b[31m"
    True
    """
    return errors.shown(os.fsdecode(path))


def listed(names: Iterable[str]) -> str:
    """The first of many names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    names = [shown(name) for name in names]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def counted(count: int, what: str) -> str:
    """A number with the name of what is counted.

    >>> counted(1, "image"), counted(1200, "class")
    ('1 image', '1,200 classes')
    """
    ending = "" if count == 1 else "es" if what.endswith("s") else "s"
    return f"{count:,} {what}{ending}"


def named_classes(names: Sequence[str]) -> str:
    """The number of classes and the first of their names.

    >>> named_classes(["cat", "dog"])
    '2 classes (cat, dog)'
    """
    shown = ", ".join(cut(name) for name in names[:FEW]) + (", ..." if len(names) > FEW else "")
    return f"{counted(len(names), 'class')} ({shown})"


def sized_parts(parts: Mapping[str, Sized]) -> str:
    """The size of each part.

    >>> sized_parts({"train": range(1200), "test": range(3)})
    'train 1,200, test 3'
    """
    return ", ".join(f"{part} {len(examples):,}" for part, examples in parts.items())
