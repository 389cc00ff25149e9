"""Tokens that are prepared once: a folder of the cache whose file is mapped into memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from tasks.data.prepared_files import prepared_once, read_record, write_record
from tasks.data.text.dataset import Text, token_type
from tasks.data.text.survey import Reading, Survey
from tasks.data.text.text_stream import Chunks, shown_as
from tasks.data.text.tokenizers import Tokenizer, tokenizer_of
from zoo.errors import DataError
from zoo.system.atomic import atomic_rename, beside, room_for
from zoo.system.console import say

TOKENS = "tokens.bin"


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

    def find() -> Text | None:
        about = read_record(folder)
        if about is None:
            return None
        tokenizer, sizes = tokenizer_of(**about["symbols"]), tuple(about["sizes"])
        tokens = mapped(folder / TOKENS, sum(sizes), tokenizer)
        return Text(tokens, sizes, tokenizer, where, known_digest=about["sha256"])

    def prepare() -> None:
        say(f"{where}: tokens are prepared once, in {folder}")
        made = tokenizer()
        sizes = encode(folder / TOKENS, parts, survey, made, where)
        digest = Text(mapped(folder / TOKENS, sum(sizes), made), sizes, made, where).digest()
        symbols = {"kind": made.kind, "state": made.state()}
        about = {"sizes": sizes, "symbols": symbols, "sha256": digest}
        write_record(folder, [TOKENS], about)

    return prepared_once(folder, find, prepare)


def mapped(path: Path, size: int, tokenizer: Tokenizer) -> Tensor:
    """The tokens `[size]` of a file, which are in memory only where they are read."""
    return torch.from_file(str(path), shared=False, size=size, dtype=token_type(len(tokenizer)))


def encode(
    path: Path, parts: Mapping[str, Chunks], survey: Survey, tokenizer: Tokenizer, where: str
) -> tuple[int, int, int]:
    """Writes the tokens of a text into a file; returns the number of tokens of each part.

    Arguments and errors are those of `prepared_text`.
    """
    kind, read = token_type(len(tokenizer)), shown_as("tokens", parts, sum(survey.sizes))
    most, reading = survey.encoded * kind.itemsize, Reading()
    with beside(path) as partial:
        with room_for(path, lambda: most), partial.open("wb") as file:
            sizes = write_tokens(read, tokenizer, file, reading)
            file.flush()
            os.fsync(file.fileno())
        if reading.digest.hexdigest() != survey.digest:
            fix = "begin again once nothing writes it"
            raise DataError("the text has changed while it was read", where, fix)
        atomic_rename(partial, path)
    return sizes


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
