"""The command of a program that is compared, with placeholders that every run fills with its own.

It is read as a shell would split it, and run without one: `python train.py --seed {seed}`.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from zoo.config.options import as_word
from zoo.errors import ConfigError

PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")
WHERE = "command=..."


def words_of(command: str) -> list[str]:
    """The words of a command, placeholders and all; ConfigError where a quotation has no end."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        fix = "close the quotation, or put a backslash before it"
        raise ConfigError(f"{str(error).lower()} in {command!r}", WHERE, fix) from None
    if not words:
        raise ConfigError("the command is empty", WHERE, "write a program and what it takes")
    return words


def placeholders(command: str) -> list[str]:
    """The names of the placeholders of a command.

    >>> placeholders("python train.py {arm} --seed {seed} --again {arm} --json '{}'")
    ['arm', 'seed']
    """
    return list(dict.fromkeys(PLACEHOLDER.findall(command)))


def filled(command: str, values: Mapping[str, Any]) -> list[str]:
    """The words of a command in which values stand for the placeholders.

    >>> filled("train --name={arm} {depth}", {"arm": "my net", "depth": 8})
    ['train', '--name=my net', '8']
    """
    return [fill(word, values) for word in words_of(command)]


def fill(word: str, values: Mapping[str, Any]) -> str:
    """A word of a command in which values stand for the placeholders."""
    return PLACEHOLDER.sub(lambda match: as_word(values[match[1]]), word)


def digests(
    command: str, values: Mapping[str, Any], digest: Callable[[str], str]
) -> dict[str, str]:
    """The digest of each file that a command names, by its word in the command.

    Words with the seed are left out: they name what a run writes.

    Args:
        command: with placeholders.
        values: of the placeholders.
        digest: of the content of the file at a path.
    """
    words = words_of(command)
    files = {
        word: file_of(fill(word, values), before)
        for before, word in itertools.pairwise(["", *words])
        if "seed" not in placeholders(word)
    }
    return {word: digest(path) for word, path in files.items() if path}


def file_of(word: str, before: str) -> str | None:
    """The path of the file that a word of a command names; None where it names none.

    It stands alone, behind `=`, or is a module behind `-m`. A bare program is none.

    Args:
        word: of the command.
        before: the word before it; empty for the program.
    """
    paths = [word, word.partition("=")[2]] if before or os.sep in word else []
    paths += [f"{word.replace('.', os.sep)}.py"] if before == "-m" else []
    return next((path for path in paths if os.path.isfile(path)), None)


def file_digest(path: str) -> str:
    """The digest of a file's content, 20 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:20]
