"""Tokens that are prepared once: a folder of the cache whose file is mapped into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import torch

from tasks.data.cache import writable
from tasks.data.text.dataset import Text, token_type
from tasks.data.text.survey import Reading, Survey
from tasks.data.text.text_stream import Chunks, shown_as
from tasks.data.text.tokenizers import Tokenizer, tokenizer_of
from zoo.errors import DataError
from zoo.system.atomic import atomic_rename, atomic_write, beside, remove_partial_files, room_for
from zoo.system.console import say
from zoo.system.one_writer import exclusive

TOKENS, ABOUT = "tokens.bin", "prepared.json"  # the second one appears last


def prepared_text(
    folder: Path,
    parts: Mapping[str, Chunks],
    survey: Survey,
    tokenizer: Callable[[], Tokenizer],
    where: str,
) -> Text:
    """The text whose tokens lie in a folder of the cache; one process prepares them, once.

    Args:
        folder: for this text and these symbols alone.
        parts: `train`, `val` and `test`.
        survey: of the text.
        tokenizer: makes the tokenizer.
        where: for messages.

    Errors:
        ResourceError: the disk is full; what was half written is removed.
        DataError: the text has changed since the survey.
    """
    text = mapped(folder, where)
    if text is None:
        with exclusive(writable(folder)):
            text = mapped(folder, where)  # another process may have prepared it meanwhile
            if text is None:
                prepare(folder, parts, survey, tokenizer, where)
                text = mapped(folder, where)
    if text is None:
        raise RuntimeError(f"{folder} changes while it is read")
    return text


def mapped(folder: Path, where: str) -> Text | None:
    """The prepared text of a folder; None where there is none, or its file is damaged."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        tokenizer = tokenizer_of(**about["symbols"])
        kind, path = token_type(len(tokenizer)), folder / TOKENS
        size, bytes_there = sum(about["sizes"]), path.stat().st_size
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        say(f"{folder / ABOUT} is damaged; the text is prepared anew")
        return None
    if bytes_there != size * kind.itemsize:
        needed = f"{bytes_there:,} of {size * kind.itemsize:,} bytes"
        say(f"{path} is damaged, {needed}; the text is prepared anew")
        return None
    tokens = torch.from_file(str(path), shared=False, size=size, dtype=kind)
    return Text(tokens, tuple(about["sizes"]), tokenizer, where, known_digest=about["sha256"])


def prepare(
    folder: Path,
    parts: Mapping[str, Chunks],
    survey: Survey,
    tokenizer: Callable[[], Tokenizer],
    where: str,
) -> None:
    """Writes the tokens of a text, then what they are; only this process writes there.

    Arguments are those of `prepared_text`.
    """
    say(f"{where}: tokens are prepared once, in {folder}")
    remove_partial_files(folder)
    (folder / ABOUT).unlink(missing_ok=True)
    made, path = tokenizer(), folder / TOKENS
    kind, read = token_type(len(made)), shown_as("tokens", parts, sum(survey.sizes))
    most, reading = survey.encoded * kind.itemsize, Reading()
    with beside(path) as partial:
        with room_for(path, lambda: most), partial.open("wb") as file:
            sizes = write_tokens(read, made, file, reading)
            file.flush()
            os.fsync(file.fileno())
        if reading.digest.hexdigest() != survey.digest:
            fix = "begin again once nothing writes it"
            raise DataError("the text has changed while it was read", where, fix)
        atomic_rename(partial, path)
    tokens = torch.from_file(str(path), shared=False, size=sum(sizes), dtype=kind)
    symbols = {"kind": made.kind, "state": made.state()}
    digest = Text(tokens, sizes, made, where).digest()
    about = {"sizes": sizes, "symbols": symbols, "sha256": digest}
    atomic_write(folder / ABOUT, json.dumps(about))


def write_tokens(
    parts: Mapping[str, Chunks], tokenizer: Tokenizer, file: IO[bytes], reading: Reading
) -> tuple[int, int, int]:
    """Writes the tokens of all parts into a file; returns the number of tokens of each part.

    Args:
        parts: `train`, `val` and `test`.
        tokenizer: of the text.
        file: open for writing.
        reading: follows what is read.
    """
    kind: np.dtype[np.generic] = torch.empty(0, dtype=token_type(len(tokenizer))).numpy().dtype

    def written(chunks: Iterator[str]) -> int:
        count = 0
        for numbers in tokenizer.encode_all(reading.of(chunks)):
            file.write(numbers.astype(kind).tobytes())
            count += len(numbers)
        return count

    train, val, test = (written(chunks()) for chunks in parts.values())
    return train, val, test
