"""Images with what is to be learned of them and a split: what all such data share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any, Self

import torch
from torch import Tensor

from tasks.data.alike import named_classes, sized_parts
from tasks.data.folders import counted
from zoo.errors import DataError, shown


@dataclass
class ImageDataset:
    """Images of one size, a target for each, and a split.

    Args:
        images: `[N, C, H, W]` uint8.
        targets: `[N, ...]`, what is to be learned of each image.
        train: `[n]` long example numbers; likewise `val` and `test`.
        classes: the name of each class.
        mean: per channel, of values between 0 and 1, over the training part.
        std: likewise; 1 for a constant channel.
        where: the folder or option that the images come from, for messages.
        skipped: images that could not be read and were left out.
        batch_size: images of a training batch over all processes.
        notes: what is odd in the data, a line each.
    """

    images: Tensor
    targets: Tensor
    train: Tensor
    val: Tensor
    test: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    where: str
    skipped: int = 0
    batch_size: int = 128
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.classes = tuple(map(shown, self.classes))

    @property
    def parts(self) -> dict[str, Tensor]:
        return {"train": self.train, "val": self.val, "test": self.test}

    def metadata(self) -> dict[str, Any]:
        """The same with one black image in place of all: what a trained model must know of it."""
        count = min(self.batch_size, len(self.train))
        blank: dict[str, Any] = dict.fromkeys(self.parts, torch.zeros(count, dtype=torch.long))
        blank["notes"] = []
        blank["images"] = torch.zeros_like(self.images[:1])
        blank["targets"] = torch.zeros_like(self.targets[:1])
        return {field.name: getattr(self, field.name) for field in fields(self)} | blank

    @classmethod
    def from_metadata(cls, outline: dict[str, Any]) -> Self:
        return cls(**outline)

    def summary(self) -> str:
        """What was read, in one line."""
        count, channels, height, width = self.images.shape
        kind = {1: "grey", 3: "rgb"}.get(channels, f"{channels} channels")
        skipped = f", {self.skipped:,} skipped" if self.skipped else ""
        return (
            f"{self.where}: {counted(count, 'image')} of {height}x{width} {kind}: "
            f"{sized_parts(self.parts)}; {named_classes(self.classes)}{skipped}"
        )

    def digest(self) -> str:
        """SHA-256 over images, targets and the three parts, not over the batch size."""
        digest = hashlib.sha256()
        for part in (self.images, self.targets, *self.parts.values()):
            digest.update(f"{tuple(part.shape)}{part.dtype}".encode())
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def demand(self, holds: bool | Tensor, what: str, fix: str) -> None:
        if not holds:
            raise DataError(what, self.where, fix)

    def check_images(self) -> None:
        """DataError for images that are none."""
        images = self.images
        shape = f"images are {images.dtype} of shape {[*images.shape]}"
        fits = images.ndim == 4 and images.numel() > 0 and images.dtype == torch.uint8
        self.demand(fits, shape, "give [images, channels, height, width] of uint8")

    def check_names(self) -> None:
        """DataError for two classes of one name."""
        unique = len(set(self.classes)) == len(self.classes)
        self.demand(unique, "two classes have one name", "name them apart")

    def check_split(self) -> None:
        """DataError for parts that are empty, shared or of other examples."""
        count = len(self.images)
        seen = torch.zeros(count, dtype=torch.long)
        for name, part in self.parts.items():
            self.demand(part.numel() > 0, f"the {name} part is empty", "give every part images")
            inside = int(part.min()) >= 0 and int(part.max()) < count
            outside = f"the {name} part names images outside 0 to {count - 1}"
            self.demand(inside, outside, "correct it")
            once = part.unique().numel() == part.numel()
            self.demand(once, f"the {name} part repeats an image", "list it once")
            seen[part] += 1
        shared = int((seen > 1).sum())
        self.demand(not shared, f"{shared} images are in two parts", "make the parts disjoint")

    def check_norms(self) -> None:
        """DataError for a mean or deviation that no image can be normed by."""
        channels = self.images.shape[1]
        numbers = torch.tensor([*self.mean, *self.std])
        fits = len(self.mean) == len(self.std) == channels and bool(numbers.isfinite().all())
        given = f"mean {[*self.mean]} and std {[*self.std]} do not fit {channels} channels"
        self.demand(fits and min(self.std) > 0, given, "give a mean and a positive std per channel")
