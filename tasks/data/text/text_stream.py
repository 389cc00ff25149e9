"""Texts that are read in chunks, so that a large one never lies in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

Chunks = Callable[[], Iterator[str]]  # a part of a text, read anew by each call
CHUNK = 2**20  # bytes that are read at once
ROWS = 1000  # rows of a data set that are read at once
PATIENCE = 3  # seconds until a bar appears


def part_starts(size: int, val: float, test: float) -> tuple[int, int]:
    """The positions where validation and test begin, as shares of a text of some size.

    What is left for training is rounded down, as nanoGPT does.

    Errors:
        ValueError: nothing is left for training.

    >>> part_starts(1_115_394, 0.05, 0.05)
    (1003854, 1059624)
    """
    if val + test >= 1:
        raise ValueError(f"val={val} and test={test} leave nothing for training")
    share = round(1 - val - test, 12)  # 0.9, not 0.8999999999999999
    return int(size * share), round(size * (1 - test))


def character_start(file: Path, at: int) -> int:
    """The first byte from `at` on with which a character of UTF-8 begins."""
    with file.open("rb") as content:
        content.seek(at)
        following = content.read(3)
    inside = [byte & 0xC0 == 0x80 for byte in following]
    return at + (inside.index(False) if False in inside else len(inside))


def read_text(file: Path, start: int, stop: int) -> Iterator[str]:
    """Gives the text between two bytes of a file in chunks; DataError where it is not UTF-8."""
    rest = b""
    with file.open("rb") as content:
        content.seek(start)
        while start < stop:
            fresh = content.read(min(CHUNK, stop - start))
            if not fresh:
                raise DataError("the file became shorter", str(file), "let it be while it is read")
            at, start = start - len(rest), start + len(fresh)
            chunk = rest + fresh
            try:
                yield chunk.decode()
                rest = b""
            except UnicodeDecodeError as error:
                if error.reason != "unexpected end of data" or start >= stop:
                    what = f"byte {at + error.start} is {chunk[error.start]:#04x}, not UTF-8"
                    raise DataError(what, str(file), "save the text as UTF-8") from None
                rest = chunk[error.start :]
                yield chunk[: error.start].decode()


def read_rows(rows: Dataset, column: str) -> Iterator[str]:
    """Gives the texts of a column in chunks of many rows, each row with a line end."""
    for batch in rows.iter(batch_size=ROWS):
        texts = [text or "" for text in batch[column]]
        yield "".join(text if text.endswith("\n") else f"{text}\n" for text in texts)


def shown_as(what: str, parts: Mapping[str, Chunks], total: int | None = None) -> dict[str, Chunks]:
    """The same parts, each with a bar on a terminal while it is read for long.

    Args:
        what: is done meanwhile.
        parts: of a text.
        total: characters of all parts, for the time that is left; None: not known.
    """
    from tqdm import tqdm

    done = 0

    def read(name: str, chunks: Chunks) -> Iterator[str]:
        nonlocal done
        about = f"{what}, {name}"
        style = {"unit": " characters", "unit_scale": True, "disable": None, "leave": False}
        with tqdm(desc=about, total=total, initial=done, delay=PATIENCE, **style) as bar:
            for chunk in chunks():
                yield chunk
                done += len(chunk)
                bar.update(len(chunk))

    return {name: partial(read, name, chunks) for name, chunks in parts.items()}
