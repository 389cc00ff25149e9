"""Pixels that are prepared once: a folder of the cache whose file is read row by row."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tasks.data.cache import writable
from tasks.data.file_rows import FileRows
from zoo.system.atomic import atomic_rename, atomic_write, beside, remove_partial_files, room_for
from zoo.system.console import say
from zoo.system.one_writer import exclusive

PIXELS, ABOUT = "pixels.bin", "prepared.json"  # the second one appears last
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
    known = stored(folder)
    if known is None:
        with exclusive(writable(folder)):
            known = stored(folder)  # another process may have prepared it meanwhile
            if known is None:
                prepare(folder, count, images, bad, where)
                known = stored(folder)
    if known is None:
        raise RuntimeError(f"{folder} changes while it is read")
    return known


def stored(folder: Path) -> tuple[FileRows, Bad] | None:
    """What has been prepared in a folder; None where nothing has, or its file is damaged."""
    path = folder / PIXELS
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        rows = FileRows(path, tuple(about["shape"]))
        bad = {int(number): words for number, words in about["bad"].items()}
        bytes_there = path.stat().st_size
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        say(f"{folder / ABOUT} is damaged; the images are prepared anew")
        return None
    if bytes_there != rows.numel():
        needed = f"{bytes_there:,} of {rows.numel():,} bytes"
        say(f"{path} is damaged, {needed}; the images are prepared anew")
        return None
    return rows, bad


def prepare(
    folder: Path, count: int, images: Iterator[np.ndarray], bad: Callable[[], Bad], where: str
) -> None:
    """Writes the pixels, then what they are; only this process writes there.

    Arguments are those of `prepared_images`.
    """
    say(f"{where}: images are prepared once, in {folder}")
    remove_partial_files(folder)
    (folder / ABOUT).unlink(missing_ok=True)
    first, path = next(images), folder / PIXELS
    most, done = count * first.nbytes, 1
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
    about = {"shape": [done, *first.shape], "bad": bad()}
    atomic_write(folder / ABOUT, json.dumps(about))


def reserve(file: int, size: int) -> None:
    """Takes the room that an open file will need, so that a full disk is known at once."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
