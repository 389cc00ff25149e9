"""Parquet files one by one: which of many has no rows, and which is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tasks.data.folders import File
from tasks.data.phrases import shown
from zoo.errors import DataError


def filled(files: list[File], where: str) -> list[File]:
    """The files that have rows, or all where none has; DataError for one without an end.

    Args:
        files: of one split.
        where: for messages.
    """
    from pyarrow.parquet import read_metadata

    rows = [tried(read_metadata, file, where).num_rows for file in files]
    return [file for file, count in zip(files, rows, strict=True) if count] or files


def refuse_broken(files: Iterable[File], where: str) -> None:
    """DataError for the first file that cannot be read as a whole.

    Args:
        files: that are read, a part at a time.
        where: for messages.
    """
    from pyarrow.parquet import ParquetFile

    def read(path: str) -> None:
        with ParquetFile(path) as file:
            for _ in file.iter_batches():
                pass

    for file in files:
        tried(read, file, where)


def tried(read: Callable[[str], Any], file: File, where: str) -> Any:
    """What a function reads of a file; DataError where it cannot."""
    try:
        return read(file.path)
    except Exception as error:  # of Arrow, of many kinds
        reason = f"{type(error).__name__}: {error}"[:200]
        what = f"{shown(file.relative)} cannot be read ({reason})"
        raise DataError(what, where, "copy it again") from None
