"""Errors that a user can act on: one line (what, where, how to fix) and an exit code."""

from __future__ import annotations

import difflib
import errno
import os
import shlex
from collections.abc import Iterable
from typing import ClassVar


def shown(text: str) -> str:
    r"""A text in which bytes that are no text and control characters are escaped.

    >>> shown("red \x1b[31m \udcff") == r"red \x1b[31m \xff"
    True
    """
    return "".join(map(escaped, text))


def cut(text: object, most: int = 24) -> str:
    """A text that can be printed, cut to a number of characters.

    >>> cut("residual", 5)
    'resi…'
    """
    whole = shown(str(text))
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def listed(values: Iterable[object], most: int | None = None) -> str:
    """Values in a row, and how many more there are than so many.

    >>> listed("abc"), listed("a"), listed("abcd", 3)
    ('a, b and c', 'a', 'a, b, c and 1 more')
    """
    texts = [*map(str, values)]
    if most is not None and len(texts) > most:
        texts = [*texts[:most], f"{len(texts) - most} more"]
    *first, last = texts or [""]
    return f"{', '.join(first)} and {last}" if first else last


def escaped(letter: str) -> str:
    """A letter, or its escape if it cannot be printed, as bytes that are no text cannot."""
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(letter)[1:-1]


def quoted(words: Iterable[str]) -> str:
    r"""Words as a shell reads them, on one line and without letters that steer a terminal.

    >>> print(quoted(["zoo", "from=a b", "red\x1b[31m"]))
    zoo 'from=a b' $'red\x1b[31m'
    """
    return " ".join(map(quoted_word, words))


def quoted_word(word: str) -> str:
    """A word as a shell reads it."""
    if word.isprintable():
        return shlex.quote(word)
    letters = (f"\\{letter}" if letter in "\\'" else escaped(letter) for letter in word)
    return f"$'{''.join(letters)}'"


FULL = (errno.ENOSPC, errno.EDQUOT)  # of a disk


class ZooError(Exception):
    """An error with an exit code.

    Args:
        what: what is wrong.
        where: the key, file or folder.
        fix: what to do.
    """

    code: ClassVar[int] = 1

    def __init__(self, what: str, where: str, fix: str):
        self.what, self.where, self.fix = (shown(" ".join(p.split())) for p in (what, where, fix))
        super().__init__(f"{self.what} -- {self.where} -- {self.fix}")


class ConfigError(ZooError):
    """Bad usage or configuration."""

    code = 2


class DataError(ZooError):
    """Data that is missing or wrong."""

    code = 3


class Diverged(ZooError):
    """The loss is no longer finite."""

    code = 4


class CheckpointError(ZooError):
    """No usable checkpoint."""

    code = 5


class ResourceError(ZooError):
    """Memory, disk or a process was lost."""

    code = 6


PATH_FIXES = {
    errno.EACCES: "allow it, or name another place",
    errno.EPERM: "allow it, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ENAMETOOLONG: "name a shorter one",
}  # the remedy by the system's error number, for a path that cannot be used


def suggest(word: str, choices: Iterable[str]) -> str:
    """A hint for an unknown word: the choices spelled nearly so, or all of its section.

    >>> suggest("residul", ["plain", "residual"])
    'did you mean residual?'
    >>> suggest("xyz", ["plain", "residual"])
    'choose from plain, residual'
    >>> suggest("model.dept", ["model.depth", "optimizer.lr"])
    'did you mean model.depth?'
    >>> suggest("model.qq", ["model.depth", "optimizer.lr"])
    'choose from model.depth'
    >>> suggest("lr", ["model.depth", "optimizer.lr"])
    'did you mean optimizer.lr?'
    >>> suggest("sede", ["seed", "optimizer.schedule"])
    'did you mean seed?'
    >>> suggest("modle.depth", ["model.depth", "data.depth"])
    'did you mean model.depth?'
    """
    section, _, word = word.rpartition(".")
    names = sorted(set(choices))
    sections = {name.rpartition(".")[0] for name in names} - {""}
    if section and section not in sections:
        section = next(iter(close(section, sections)), "")
    whole = [] if section else close(word, [name for name in names if "." not in name])
    same = [name for name in names if name.endswith(f".{word}")]
    names = [name for name in names if section and name.startswith(f"{section}.")] or names
    lasts = {name.rpartition(".")[2]: name for name in names}
    here = [name for name in same if name in names]
    near = whole or here or same or [lasts[last] for last in close(word, lasts)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose from {', '.join(names)}" if names else "leave it out"


def close(word: str, choices: Iterable[str]) -> list[str]:
    """Up to three choices that are spelled like a word, the nearest first; capitals do not count.

    A choice with the same letters in another order is nearer than any other.

    >>> close("form", ["norm", "from"]), close("GNN", ["cnn", "gnn"])
    (['from'], ['gnn'])
    """
    small = {choice.lower(): choice for choice in choices}
    word = word.lower()
    same = [name for name in small if sorted(name) == sorted(word)]
    return [small[name] for name in same or difflib.get_close_matches(word, small, cutoff=0.6)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the CPU or on a GPU."""
    text = str(error).lower()
    lost = ("can't allocate memory", "not enough memory", "out of memory", "status_alloc_failed")
    return isinstance(error, MemoryError) or any(words in text for words in lost)


def as_zoo_error(error: BaseException) -> BaseException:
    """An error of memory, disk or path as a ZooError with a remedy; any other error as it is."""
    if isinstance(error, ZooError):
        return error
    if is_out_of_memory(error):
        return ResourceError(
            "out of memory", "this machine", "lower width, depth or the data's size"
        )
    if isinstance(error, OSError) and error.errno in FULL:
        return ResourceError(
            "the disk is full", str(error.filename or "standard output"), "free some space"
        )
    if isinstance(error, OSError) and error.errno in PATH_FIXES and error.filename is not None:
        return ConfigError(
            str(error.strerror), os.fsdecode(error.filename), PATH_FIXES[error.errno]
        )
    return error
