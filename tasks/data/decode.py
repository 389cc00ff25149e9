"""Encoded images as pixels: one mode and one size for all, whatever the files hold."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from tasks.data.folders import IMAGE_FORMATS, File, counted, listed, shown
from zoo.errors import DataError

Mode = Literal["rgb", "grey"]
Extent = int | tuple[int, int]  # pixels of each side, or height and width


@dataclass
class Encoded:
    """One image before it is decoded.

    Args:
        content: its bytes, `bytes` and `path`, a file, its path, or None.
        split: where it is from, for messages.
        number: its place there, from 0.
    """

    content: Any
    split: str
    number: int

    @property
    def name(self) -> str:
        path = self.content.get("path") if isinstance(self.content, dict) else None
        path = self.content.path if isinstance(self.content, File) else path
        name = f"image {self.number} of split {shown(self.split)}"
        return f"{name} ({shown(path)})" if path else name

    @property
    def short(self) -> str:
        """Its place among the data's files, or else in its split."""
        file = isinstance(self.content, File)
        return shown(self.content.place) if file else f"{self.split} {self.number}"

    def bare(self) -> Encoded:
        """The same without its bytes."""
        is_bytes = isinstance(self.content, bytes)
        content = None if is_bytes else self.content
        content = {"path": content.get("path")} if isinstance(content, dict) else content
        return Encoded(content, self.split, self.number)

    def file(self) -> io.BytesIO | str:
        """The bytes, or else the path."""
        content = self.content.path if isinstance(self.content, File) else self.content
        if isinstance(content, dict):
            content = content.get("bytes") if content.get("bytes") is not None else content["path"]
        if content is None:
            raise ValueError("there is no image")
        return content if isinstance(content, str) else io.BytesIO(content)


def eight_bit(image: Image.Image) -> Image.Image:
    """An image of 16 bits divided by 257, so that 65535 is white; any other one as it is."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} has no white; save 8 or 16 bits")
    return image


def over_black(image: Image.Image) -> Image.Image:
    """An image with transparency laid over black; any other one as it is."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image).convert("RGB")


def pixels(encoded: Encoded, mode: Mode, size: Extent | None) -> np.ndarray | str:
    """One image as `[C, H, W]` uint8, or the reason why it cannot be read.

    It is turned as its EXIF orientation says. With `size` it is scaled until it covers that many
    pixels and its centre is cut out.
    """
    return read(encoded, lambda image: array(converted(image, mode), size))


def read(encoded: Encoded, use: Callable[[Image.Image], np.ndarray]) -> np.ndarray | str:
    """What is made of an upright image, or the reason why it cannot be read."""
    try:
        with Image.open(encoded.file(), formats=IMAGE_FORMATS) as opened:
            return use(upright(opened))
    except MemoryError:
        raise
    except UnidentifiedImageError:
        return "it is empty, cut off or of an unknown kind"
    except Exception as error:  # a broken file can fail in many ways
        return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"[:200]


def upright(image: Image.Image) -> Image.Image:
    """An image turned as its EXIF orientation says."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    return image


def converted(image: Image.Image, mode: Mode) -> Image.Image:
    """An image of 8 bits in one mode, without transparency."""
    image, wanted = over_black(eight_bit(image)), {"rgb": "RGB", "grey": "L"}[mode]
    return image if image.mode == wanted else image.convert(wanted)


def array(
    image: Image.Image, size: Extent | None, how: Image.Resampling = Image.Resampling.BILINEAR
) -> np.ndarray:
    """An image as `[C, H, W]`, scaled and cut to a size."""
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), how)
    values = np.asarray(image)
    return values.transpose(2, 0, 1) if values.ndim == 3 else values[None]


@dataclass
class Decoded:
    """Images that could be read.

    Args:
        images: `[n, C, H, W]` uint8.
        kept: `[N]` bool, which ones of all these are.
        sources: where each of the n is from.
        bad: the others, each with its reason.
    """

    images: Tensor
    kept: Tensor
    sources: list[Encoded]
    bad: list[str]

    def notes(self) -> Iterator[str]:
        """A note on those that could not be read."""
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
    """All images, decoded once; on a terminal, with a bar if it takes long.

    Args:
        images: `count` of them.
        count: N.
        mode: into which all are converted, transparent ones over black.
        size: of both sides, or height and width; None: as it is, one size for all.
        on_bad: what happens at one that cannot be read.
        where: for messages.
        pixels: what reads one image.

    Errors:
        DataError: one cannot be read, sizes differ, or none is left.
    """
    from tqdm import tqdm

    bar = tqdm(images, "images", count, leave=False, unit="image", disable=None, delay=3)
    kept = torch.zeros(count, dtype=torch.bool)
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
            kept[number] = True
            sources.append(encoded.bare())
            done += 1
    if not done:
        raise DataError(f"none of {count} images can be read", where, "look at the files")
    return Decoded(torch.from_numpy(filled[:done]), kept, sources, bad)
