"""Many encoded images as rows of pixels, each of them decoded once."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from tasks.data.cache import cache_folder
from tasks.data.encoded import Encoded, Extent, Mode, pixels
from tasks.data.file_rows import Bytes
from tasks.data.phrases import counted, listed
from tasks.data.prepared_images import Bad, prepared_images
from zoo import __version__
from zoo.errors import DataError

LARGE = 2**28  # bytes of pixels that are kept in a file
Pixels = Callable[[Any, Mode, Extent | None], np.ndarray | str]


class Source(Protocol):
    """Encoded images that can be read again and again."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Encoded]: ...
    def __getitem__(self, number: int) -> Encoded: ...
    def content_name(self) -> str:
        """A text that is another one once an image has changed."""


@dataclass
class Decoded:
    """Images that could be read.

    Args:
        images: `[n, C, H, W]` uint8.
        bad: the numbers of those that could not, each with words for it.
        source: all N, as they came.
    """

    images: Bytes
    bad: Bad
    source: Source

    @property
    def readable(self) -> Tensor:
        """Which of all images could be read, `[N]` bool."""
        readable = torch.ones(len(self.source), dtype=torch.bool)
        readable[[*self.bad]] = False
        return readable

    def __getitem__(self, number: int) -> Encoded:
        """One of the n that could be read, as it came."""
        return self.source[int(self.readable.nonzero()[number])]

    def notes(self) -> Iterator[str]:
        """A note on the images that could not be read."""
        if self.bad:
            verb = "is" if len(self.bad) == 1 else "are"
            words = listed(self.bad.values())
            yield f"{counted(len(self.bad), 'image')} cannot be read and {verb} skipped: {words}"


def decode(
    source: Source,
    mode: Mode,
    size: Extent | None,
    on_bad: Literal["error", "skip"],
    where: str,
    pixels: Pixels = pixels,
) -> Decoded:
    """Decodes images into rows in memory; many of them once into a file of the cache.

    Args:
        source: of the images.
        mode: into which all are converted.
        size: pixels of both sides, or height and width; None: the images have one size.
        on_bad: at an image that cannot be read, stop with an error, or skip and count it.
        where: for messages.
        pixels: reads one image as `[C, H, W]`, or tells why it cannot be read.

    Errors:
        DataError: an image cannot be read, sizes differ, or no image is left.
        ResourceError: the disk has no room for the file.
    """
    bad: Bad = {}
    count = len(source)
    with closing(readable_images(source, mode, size, on_bad, where, pixels, bad)) as found:
        first = next(found, None)
        if first is None:
            raise DataError(f"none of {count} images can be read", where, "look at the files")
        images = chain([first], found)
        if count * first.nbytes >= LARGE:
            options = mode, size, on_bad, pixels.__name__, __version__, version("pillow")
            key = hashlib.sha256(repr((source.content_name(), *options)).encode()).hexdigest()
            folder = cache_folder("images", key[:24])
            return Decoded(*prepared_images(folder, count, images, lambda: bad, where), source)
        filled, done = np.empty((count, *first.shape), np.uint8), 0
        for done, image in enumerate(images, 1):
            filled[done - 1] = image
        return Decoded(torch.from_numpy(filled[:done]), bad, source)


def readable_images(
    source: Source,
    mode: Mode,
    size: Extent | None,
    on_bad: Literal["error", "skip"],
    where: str,
    pixels: Pixels,
    bad: Bad,
) -> Generator[np.ndarray]:
    """Gives the images `[C, H, W]` that can be read; on a terminal, with a bar if it takes long.

    Args:
        bad: collects the others.

    Further arguments and errors are those of `decode`.
    """
    from tqdm import tqdm

    bar = tqdm(source, "images", len(source), leave=False, unit="image", disable=None, delay=3)
    shape: tuple[int, ...] = ()
    first = ""
    with bar, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on odd metadata
        for number, encoded in enumerate(bar):
            image = pixels(encoded, mode, size)
            if isinstance(image, str):
                if on_bad == "error":
                    what = f"{encoded.name} cannot be read ({image})"
                    raise DataError(what, where, "repair it, or give data.on_bad=skip")
                bad[number] = f"{encoded.short} ({image})"
                continue
            if not first:
                shape, first = image.shape, encoded.name
            if image.shape != shape:
                height, width = image.shape[1:]
                what = f"{encoded.name} is {height}x{width}, {first} {shape[1]}x{shape[2]}"
                raise DataError(what, where, "give data.size=PIXELS")
            yield image
