"""Masks as they are stored, beside their images, and the classes that their values stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tasks.data.encoded import Encoded, Extent, Mode, array, converted, read_image
from tasks.data.encoded_images import EncodedImages
from tasks.data.file_rows import Bytes, FileRows, byte_counts, pieces
from tasks.data.masks.dataset import UNLABELLED
from zoo.errors import DataError

MANY = 20  # values that are listed in a message


@dataclass
class ImageMaskPair(Encoded):
    """One image before it is decoded, with its mask.

    Args:
        mask: the mask before it is decoded.
    """

    mask: Encoded


@dataclass
class ImageMaskPairs:
    """Images with their masks, which can be read again and again.

    Args:
        images: before they are decoded.
        masks: likewise, as many.
    """

    images: EncodedImages
    masks: EncodedImages

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageMaskPair]:
        return map(paired, self.images, self.masks)

    def __getitem__(self, number: int) -> ImageMaskPair:
        return paired(self.images[number], self.masks[number])

    def content_name(self) -> str:
        """A text that is another one once an image or a mask has changed."""
        return f"{self.images.content_name()} {self.masks.content_name()}"


def paired(image: Encoded, mask: Encoded) -> ImageMaskPair:
    """An image with its mask."""
    return ImageMaskPair(image.content, image.split, image.number, mask)


def pair_pixels(pair: ImageMaskPair, mode: Mode, size: Extent | None) -> np.ndarray | str:
    """The image with its mask as last channel, `[C + 1, H, W]` uint8, or why it cannot be read.

    The image is interpolated where its size changes; the mask takes the nearest pixel.
    """
    sizes: list[tuple[int, int]] = []

    def noted(image: Image.Image) -> Image.Image:
        sizes.append(image.size)
        return image

    image = read_image(pair, lambda image: array(converted(noted(image), mode), size))
    if isinstance(image, str):
        return image
    nearest = Image.Resampling.NEAREST
    mask = read_image(pair.mask, lambda image: array(mask_values(noted(image)), size, nearest))
    if isinstance(mask, str):
        return f"its mask: {mask}"
    if sizes[0] != sizes[1]:
        (width, height), (wide, high) = sizes
        return f"it is {height}x{width}, its mask {high}x{wide}"
    return np.concatenate([image, mask])


def parted(both: Bytes) -> tuple[Bytes, Bytes]:
    """Images `[N, C, H, W]` uint8, and the masks `[N, H, W]` that were their last channels."""
    if isinstance(both, Tensor):
        return both[:, :-1].contiguous(), both[:, -1].contiguous()
    count, channels, height, width = both.shape
    images = FileRows(both.path, (count, channels - 1, height, width), 0, both.size)
    start = (channels - 1) * height * width
    return images, FileRows(both.path, (count, height, width), start, both.size)


def mask_values(image: Image.Image) -> Image.Image:
    """A mask as an image of mode L that holds its grey values or numbers in a palette."""
    values = np.asarray(image)
    if values.ndim == 3:
        values = values[..., : sum(band != "A" for band in image.getbands())]
        if (values != values[..., :1]).any():
            raise ValueError("it is in colours; save class numbers, grey or with a palette")
        values = values[..., 0]
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 255:
        raise ValueError("its values are not from 0 to 255")
    return Image.fromarray(values.astype(np.uint8))


def as_classes(
    values: Bytes,
    name: Callable[[int], str],
    names: Sequence[str] | None,
    labelled: Sequence[int] | None,
    ignored: Sequence[int],
    where: str,
) -> tuple[Bytes, tuple[str, ...]]:
    """Masks of classes from 0 in place of stored values, and the names of the classes.

    Args:
        values: `[N, H, W]` uint8, as stored.
        name: gives what an image is called, for messages.
        names: of the classes; None: their values.
        labelled: the value of each class; None: 0 and up, as many as there are names or values.
        ignored: values without a class.
        where: for messages.

    Errors:
        DataError: a mask holds a value that stands for no class.

    Returns:
        Masks `[N, H, W]` uint8 of classes and `UNLABELLED`, and the names.
    """
    if labelled is None and names is None:
        numbers = byte_counts(values).nonzero().flatten().tolist()
        present = [value for value in numbers if value not in ignored]
        if present != list(range(len(present))):
            values_shown = ", ".join(map(str, present[:MANY]))
            values_shown += " ..." if len(present) > MANY else ""
            option = f"data.values=[{values_shown.replace(' ', '')}]"
            several = f"give {option}, a class each, or data.ignore"
            fix = several if len(present) <= MANY else "save class numbers as PNG; JPEG blurs them"
            raise DataError(f"masks hold {values_shown}, not classes from 0", where, fix)
        labelled = present
    labelled = list(range(len(names or ()))) if labelled is None else labelled
    table = torch.full((256,), -1)
    table[list(labelled)] = torch.arange(len(labelled))
    table[list(ignored)] = UNLABELLED
    first = 0
    for some in pieces(values):
        wrong = (table[some.int()] < 0).flatten(1).any(1)
        if wrong.any():
            number = int(wrong.nonzero()[0])
            strange = some[number][table[some[number].int()] < 0].unique().tolist()
            what = f"{name(first + number)} has a mask with {strange[:MANY]}, no class"
            raise DataError(what, where, "give data.classes, data.values or data.ignore")
        first += len(some)
    return translated(values, table.to(torch.uint8)), tuple(names or map(str, labelled))


def translated(values: Bytes, table: Tensor) -> Bytes:
    """What a table `[256]` uint8 has for each byte."""
    if isinstance(values, FileRows):
        return FileRows(values.path, tuple(values.shape), values.start, values.stride, table)
    return torch.cat([table[some.int()] for some in pieces(values)])
