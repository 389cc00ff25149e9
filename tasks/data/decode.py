"""Many encoded images as one tensor, each of them decoded once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tasks.data.encoded import Encoded, Extent, Mode, pixels
from tasks.data.phrases import counted, listed
from zoo.errors import DataError


@dataclass
class Decoded:
    """Images that could be read.

    Args:
        images: `[n, C, H, W]` uint8.
        readable: `[N]` bool, which of all images these are.
        sources: the n images as they came, without their bytes.
        bad: the names of the others, each with the reason.
    """

    images: Tensor
    readable: Tensor
    sources: list[Encoded]
    bad: list[str]

    def notes(self) -> Iterator[str]:
        """A note on the images that could not be read."""
        if self.bad:
            verb = "is" if len(self.bad) == 1 else "are"
            yield f"{counted(len(self.bad), 'image')} cannot be read and {verb} skipped: " + listed(
                self.bad
            )


def decode(
    images: Iterable[Encoded],
    count: int,
    mode: Mode,
    size: Extent | None,
    on_bad: Literal["error", "skip"],
    where: str,
    pixels: Callable[[Any, Mode, Extent | None], np.ndarray | str] = pixels,
) -> Decoded:
    """Decodes images into one tensor; on a terminal, with a bar if it takes long.

    Args:
        images: N of them.
        count: N.
        mode: into which all are converted.
        size: pixels of both sides, or height and width; None: the images have one size.
        on_bad: at an image that cannot be read, stop with an error, or skip and count it.
        where: for messages.
        pixels: reads one image as `[C, H, W]`, or tells why it cannot be read.

    Errors:
        DataError: an image cannot be read, sizes differ, or no image is left.
    """
    from tqdm import tqdm

    bar = tqdm(images, "images", count, leave=False, unit="image", disable=None, delay=3)
    readable = torch.zeros(count, dtype=torch.bool)
    filled, done = np.empty((0, 0, 0, 0), np.uint8), 0
    first, sources, bad = "", [], []
    with bar, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on odd metadata
        for number, encoded in enumerate(bar):
            image = pixels(encoded, mode, size)
            if isinstance(image, str):
                if on_bad == "error":
                    what = f"{encoded.name} cannot be read ({image})"
                    raise DataError(what, where, "repair it, or give data.on_bad=skip")
                bad.append(f"{encoded.short} ({image})")
                continue
            if not done:
                filled, first = np.empty((count, *image.shape), np.uint8), encoded.name
            if image.shape != filled.shape[1:]:
                height, width = image.shape[1:]
                what = f"{encoded.name} is {height}x{width}, {first} {filled.shape[2]}x"
                raise DataError(f"{what}{filled.shape[3]}", where, "give data.size=PIXELS")
            filled[done] = image
            readable[number] = True
            sources.append(encoded.without_bytes())
            done += 1
    if not done:
        raise DataError(f"none of {count} images can be read", where, "look at the files")
    return Decoded(torch.from_numpy(filled[:done]), readable, sources, bad)
