"""Files that appear whole or not at all, whatever ends the process or fills the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from zoo.errors import FULL, ResourceError

PARTIAL = ".*.tmp*"  # names of files that are being written
Content = str | bytes | Callable[[Any], Any]  # a function fills an open file


def atomic_write(path: Path, content: Content) -> None:
    """Writes a file so that a reader, also after a power cut, sees the old or the new one whole.

    Args:
        path: of the file; its folder is there.
        content: text, bytes, or a function that fills an open file, with the same bytes each time.

    Errors:
        ResourceError: the disk is full; the old file is as it was.
    """
    with atomic_replace(path, content):
        pass


@contextlib.contextmanager
def atomic_replace(path: Path, content: Content) -> Iterator[Path]:
    """Writes a file as `atomic_write` does, which takes the old one's place after the block.

    Within it the new file is whole and on the disk, at the path that is given.
    """
    write = content if callable(content) else writer_of(content)
    with room_for(path, lambda: size_of(write)), beside(path) as partial:
        with partial.open("wb") as file:
            counting = CountingFile(file)
            try:
                write(counting)
            except RuntimeError as error:  # of PyTorch, about what the disk's error led to
                raise counting.error or error from None
            file.flush()
            os.fsync(file.fileno())
        yield partial
        atomic_rename(partial, path)


def atomic_copy(path: Path, other: Path) -> None:
    """Gives the content of a file to another name as well, at no cost where the disk has links."""
    with room_for(other, lambda: path.stat().st_size), beside(other) as partial:
        try:
            os.link(path, partial)
        except OSError:
            shutil.copyfile(path, partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        atomic_rename(partial, other)


def atomic_rename(path: Path, other: Path) -> None:
    """Moves a file to another name in its folder, also in the eyes of a power cut."""
    path.replace(other)
    folder = os.open(other.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_partial_files(folder: Path) -> None:
    """Removes what killed processes left half written in a folder."""
    for partial in folder.glob(PARTIAL):
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Gives a path for the new content of a file, on the same disk; what is left there is removed.

    Only this process uses it.
    """
    partial = path.with_name(f".{path.name[:40]}.tmp{os.getpid()}")  # names have an end
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def room_for(path: Path, size: Callable[[], int]) -> Iterator[None]:
    """Turns the error of a full disk into one line with the file and the bytes that it needs.

    Args:
        path: of the file that is written.
        size: gives its bytes, asked for when there was no room.

    Errors:
        ResourceError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free, needed = shutil.disk_usage(path.parent).free, size()
        what = f"the disk is full: {in_words(free)} are free, {in_words(needed)} are needed"
        what += ", but a quota or the number of files is used up" if needed <= free else ""
        raise ResourceError(what, str(path), "free some space") from None


def in_words(size: int) -> str:
    """A number of bytes in the unit that suits it.

    >>> in_words(900), in_words(12_345_678)
    ('0.9 kB', '12.3 MB')
    """
    return f"{size / 1e3:,.1f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


class CountingFile:
    """An open file that counts its bytes and remembers what hindered a write.

    Args:
        file: open for bytes; None: they are only counted.
    """

    def __init__(self, file: BinaryIO | None = None):
        self.file = file
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        self.size += len(data)
        try:
            return self.file.write(data) if self.file else len(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Asked for by PyTorch; `atomic_replace` does it."""


def size_of(write: Callable[[Any], Any]) -> int:
    """The number of bytes that a function writes."""
    counting = CountingFile()
    write(counting)
    return counting.size


def writer_of(content: str | bytes) -> Callable[[Any], Any]:
    """The function that writes a text or bytes into an open file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda file: file.write(data)
