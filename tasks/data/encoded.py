"""One encoded image and its pixels, in one mode and one size whatever its file holds."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from tasks.data.folders import IMAGE_FORMATS, File
from tasks.data.phrases import shown

Mode = Literal["rgb", "grey"]
Extent = int | tuple[int, int]  # pixels of each side, or height and width


@dataclass
class Encoded:
    """One image before it is decoded.

    Args:
        content: its bytes, a mapping with `bytes` and `path`, a file, a path, or None.
        split: that it belongs to, for messages.
        number: its position there, from 0.
    """

    content: Any
    split: str
    number: int

    @property
    def name(self) -> str:
        """Its number, split and path, for messages."""
        path = self.content.get("path") if isinstance(self.content, dict) else None
        path = self.content.path if isinstance(self.content, File) else path
        name = f"image {self.number} of split {shown(self.split)}"
        return f"{name} ({shown(path)})" if path else name

    @property
    def short(self) -> str:
        """Its path inside the data's folder, or else its split and number."""
        file = isinstance(self.content, File)
        return shown(self.content.relative) if file else f"{self.split} {self.number}"

    def openable(self) -> io.BytesIO | str:
        """What Pillow opens: the bytes, or else the path."""
        content = self.content.path if isinstance(self.content, File) else self.content
        if isinstance(content, dict):
            content = content.get("bytes") if content.get("bytes") is not None else content["path"]
        if content is None:
            raise ValueError("there is no image")
        return content if isinstance(content, str) else io.BytesIO(content)


def pixels(encoded: Encoded, mode: Mode, size: Extent | None) -> np.ndarray | str:
    """One image as `[C, H, W]` uint8, or the reason why it cannot be read.

    It is turned as its EXIF orientation says. With a size it is scaled until it covers that many
    pixels, and its centre is cut out.
    """
    return read_image(encoded, lambda image: array(converted(image, mode), size))


def read_image(encoded: Encoded, use: Callable[[Image.Image], np.ndarray]) -> np.ndarray | str:
    """What a function makes of the upright image, or the reason why it cannot be read."""
    try:
        with Image.open(encoded.openable(), formats=IMAGE_FORMATS) as opened:
            return use(upright(opened))
    except MemoryError:
        raise
    except UnidentifiedImageError:
        return "it is empty, cut off or of an unknown kind"
    except Exception as error:  # a broken file can fail in many ways
        return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"[:200]


def upright(image: Image.Image) -> Image.Image:
    """The image, turned as its EXIF orientation says."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    return image


def converted(image: Image.Image, mode: Mode) -> Image.Image:
    """The image in one mode with 8 bits, transparent pixels laid over black."""
    image, wanted = over_black(eight_bit(image)), {"rgb": "RGB", "grey": "L"}[mode]
    return image if image.mode == wanted else image.convert(wanted)


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


def array(
    image: Image.Image, size: Extent | None, how: Image.Resampling = Image.Resampling.BILINEAR
) -> np.ndarray:
    """The image as `[C, H, W]`, scaled until it covers a size, and its centre of that size."""
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), how)
    values = np.asarray(image)
    return values.transpose(2, 0, 1) if values.ndim == 3 else values[None]
