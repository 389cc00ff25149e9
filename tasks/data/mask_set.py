"""Images with a class for every pixel and a split, and what must hold of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import DataError

UNLABELLED = 255  # in masks: no class is known, and no loss or metric sees the pixel


@dataclass
class MaskSet:
    """Images of one size with masks and a split.

    Args:
        images: `[N, C, H, W]` uint8.
        masks: `[N, H, W]` uint8, classes from 0, or `UNLABELLED`.
        train: `[n]` long example numbers; likewise `val` and `test`.
        classes: the name of each class.
        mean: per channel, of values between 0 and 1, over the training part.
        std: likewise; 1 for a constant channel.
        where: the folder or option that the images come from, for messages.
        skipped: images that could not be read and were left out.
        batch_size: images of a training batch over all processes.
        shorter: pixels to which shorter sides were scaled; None: images are as they were.
    """

    images: Tensor
    masks: Tensor
    train: Tensor
    val: Tensor
    test: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    where: str
    skipped: int = 0
    batch_size: int = 8
    shorter: int | None = None

    def digest(self) -> str:
        """SHA-256 over images, masks and the three parts, not over the batch size."""
        digest = hashlib.sha256()
        for part in (self.images, self.masks, self.train, self.val, self.test):
            digest.update(f"{tuple(part.shape)}{part.dtype}".encode())
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def counts(self, part: Tensor) -> Tensor:
        """The pixels of each class in a part, `[classes]` long."""
        counts = torch.zeros(256, dtype=torch.long)
        for some in part.split(256):
            counts += torch.bincount(self.masks[some].flatten(), minlength=256)
        return counts[: len(self.classes)]

    def checked(self) -> MaskSet:
        """Itself, or DataError for the first thing that is wrong."""

        def demand(holds: bool | Tensor, what: str, fix: str) -> None:
            if not holds:
                raise DataError(what, self.where, fix)

        images, masks, names = self.images, self.masks, self.classes
        shape = f"images are {images.dtype} of shape {[*images.shape]}"
        fits = images.ndim == 4 and images.numel() > 0 and images.dtype == torch.uint8
        demand(fits, shape, "give [images, channels, height, width] of uint8")
        count, channels, *size = images.shape
        shape = f"masks are {masks.dtype} of shape {[*masks.shape]}"
        fits = masks.shape == (count, *size) and masks.dtype == torch.uint8
        demand(fits, shape, f"give {[count, *size]} of uint8")
        span = f"there are {len(names)} classes"
        demand(1 < len(names) <= UNLABELLED, span, f"give 2 to {UNLABELLED}")
        demand(len(set(names)) == len(names), "two classes have one name", "name them apart")
        seen = torch.zeros(count, dtype=torch.long)
        for name, part in {"train": self.train, "val": self.val, "test": self.test}.items():
            demand(part.numel() > 0, f"the {name} part is empty", "give every part some images")
            inside = int(part.min()) >= 0 and int(part.max()) < count
            demand(inside, f"the {name} part names images outside 0 to {count - 1}", "correct it")
            once = part.unique().numel() == part.numel()
            demand(once, f"the {name} part repeats an image", "list it once")
            seen[part] += 1
        shared = int((seen > 1).sum())
        demand(not shared, f"{shared} images are in two parts", "make the parts disjoint")
        strange = [v for v in masks.unique().tolist() if len(names) <= v != UNLABELLED]
        known = f"number the classes from 0 to {len(names) - 1}, and {UNLABELLED} for none"
        demand(not strange, f"masks hold {strange} with {len(names)} classes", known)
        for name, part in {"train": self.train, "val": self.val, "test": self.test}.items():
            empty = not int(self.counts(part).sum())
            demand(not empty, f"no pixel of the {name} part has a class", "give labelled masks")
        numbers = torch.tensor([*self.mean, *self.std])
        fits = len(self.mean) == len(self.std) == channels and bool(numbers.isfinite().all())
        given = f"mean {[*self.mean]} and std {[*self.std]} do not fit {channels} channels"
        demand(fits and min(self.std) > 0, given, "give a mean and a positive std per channel")
        return self
