"""Pixels that are prepared once: a folder of the cache whose file is read row by row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tasks.data.file_rows import FileRows
from tasks.data.prepared_files import prepared_once, read_record, write_record
from zoo.system.atomic import atomic_rename, beside, room_for
from zoo.system.console import say

PIXELS = "pixels.bin"
Bad = dict[int, str]  # the number of an image that cannot be read, and words for it


def prepared_images(
    folder: Path, count: int, images: Iterator[np.ndarray], bad: Callable[[], Bad], where: str
) -> tuple[FileRows, Bad]:
    """The pixels that lie in a folder of the cache, and what is bad; one process prepares them.

    Args:
        folder: for these images and these options alone.
        count: of images, N, some of which may be bad.
        images: gives the `[C, H, W]` uint8 of the n that are not.
        bad: gives those that are, once all images have been read.
        where: for messages.

    Errors:
        ResourceError: the disk has no room; nothing is left there.
    """

    def find() -> tuple[FileRows, Bad] | None:
        about = read_record(folder)
        if about is None:
            return None
        bad = {int(number): words for number, words in about["bad"].items()}
        return FileRows(folder / PIXELS, tuple(about["shape"])), bad

    def prepare() -> None:
        say(f"{where}: images are prepared once, in {folder}")
        shape = write_pixels(folder / PIXELS, count, images)
        write_record(folder, [PIXELS], {"shape": shape, "bad": bad()})

    return prepared_once(folder, find, prepare)


def write_pixels(path: Path, count: int, images: Iterator[np.ndarray]) -> tuple[int, ...]:
    """Writes images one after the other into a file; returns the shape of all, `[n, C, H, W]`.

    Args:
        path: of the file.
        count: of images, at most.
        images: `[C, H, W]` uint8 each.
    """
    first, done = next(images), 1
    most = count * first.nbytes
    with beside(path) as partial:
        with room_for(path, lambda: most), partial.open("wb") as file:
            reserve(file.fileno(), most)
            file.write(first.tobytes())
            for image in images:
                file.write(image.tobytes())
                done += 1
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        atomic_rename(partial, path)
    return done, *first.shape


def reserve(file: int, size: int) -> None:
    """Takes the room that an open file will need, so that a full disk is known at once."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
