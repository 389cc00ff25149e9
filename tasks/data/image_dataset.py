"""Images with a target each and a split: what data sets with labels and with masks share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from tasks.data.file_rows import Bytes, FileRows, at_once, pieces
from tasks.data.on_device import OnDevice, room_on
from tasks.data.phrases import counted, named_classes, sized_parts
from zoo.errors import DataError, shown


@dataclass
class ImageDataset(ABC):
    """Images of one size, a target for each, and a split.

    Args:
        images: `[N, C, H, W]` uint8.
        targets: `[N, ...]`, what is to be learned of each image.
        train: `[n]` long, the numbers of the training examples; likewise `val` and `test`.
        classes: the name of each class.
        mean: of each channel over the training part, where white is 1.
        std: standard deviation, likewise; 1 for a constant channel.
        where: the folder or option that the images come from, for messages.
        skipped: images that could not be read and were left out.
        batch_size: images of a training batch over all processes.
        notes: what is odd in the data, a line each.
    """

    images: Bytes
    targets: Bytes
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
        self.there = OnDevice[tuple[Bytes, Bytes]]()

    def rows_on(self, device: torch.device) -> tuple[Bytes, Bytes]:
        """Images and targets on a device, brought there once for all that ask.

        Those of a file stay in it where the device has no room for both.
        """
        both = self.images, self.targets
        stored = sum(rows.numel() for rows in both if isinstance(rows, FileRows))
        stay = stored > room_on(device)

        def brought(rows: Bytes) -> Bytes:
            return rows if stay and isinstance(rows, FileRows) else rows.to(device)

        return self.there(device, lambda: (brought(both[0]), brought(both[1])))

    @property
    def parts(self) -> dict[str, Tensor]:
        """The numbers `[n]` long of the examples of each part."""
        return {"train": self.train, "val": self.val, "test": self.test}

    def metadata(self) -> dict[str, Any]:
        """What a trained model must know of the data: all of it, with one black image for all."""
        count = min(self.batch_size, len(self.train))
        blank: dict[str, Any] = dict.fromkeys(self.parts, torch.zeros(count, dtype=torch.long))
        blank["notes"] = []
        blank["images"] = torch.zeros_like(self.images[:1])
        blank["targets"] = torch.zeros_like(self.targets[:1])
        return {field.name: getattr(self, field.name) for field in fields(self)} | blank

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> Self:
        """The data set of one black image that has this metadata."""
        return cls(**metadata)

    def summary(self) -> str:
        """One line on what was read: images, parts and classes."""
        count, channels, height, width = self.images.shape
        kind = {1: "grey", 3: "rgb"}.get(channels, f"{channels} channels")
        skipped = f", {self.skipped:,} skipped" if self.skipped else ""
        return (
            f"{self.where}: {counted(count, 'image')} of {height}x{width} {kind}: "
            f"{sized_parts(self.parts)}; {named_classes(self.classes)}{skipped}"
        )

    def digest(self) -> str:
        """The SHA-256 of images, targets and parts; the batch size makes no difference."""
        return self.known_digest if isinstance(self.images, FileRows) else self.read_digest()

    @cached_property
    def known_digest(self) -> str:
        """The digest of images in a file, which does not change: it is read for it once."""
        return self.read_digest()

    def read_digest(self) -> str:
        """The digest of what is there now."""
        digest = hashlib.sha256()
        for rows in (self.images, self.targets, *self.parts.values()):
            digest.update(f"{tuple(rows.shape)}{rows.dtype}".encode())
            for some in pieces(rows):
                digest.update(some.contiguous().numpy().data)
        return digest.hexdigest()

    @abstractmethod
    def counts(self, part: Tensor) -> Tensor:
        """How often each class, `[classes]` long, occurs in a part `[n]` long."""

    @abstractmethod
    def checked(self) -> Self:
        """Returns itself; raises DataError for the first thing that is wrong."""

    def demand(self, holds: bool | Tensor, what: str, fix: str) -> None:
        """Raises DataError unless something holds, a bool or `[]`.

        Args:
            holds: whether it does.
            what: is wrong otherwise.
            fix: what to do about it.
        """
        if not holds:
            raise DataError(what, self.where, fix)

    def check_images(self) -> None:
        """Raises DataError for images of another shape or type than `[N, C, H, W]` uint8."""
        images = self.images
        shape = f"images are {images.dtype} of shape {[*images.shape]}"
        fits = images.ndim == 4 and images.numel() > 0 and images.dtype == torch.uint8
        self.demand(fits, shape, "give [images, channels, height, width] of uint8")

    def check_names(self) -> None:
        """Raises DataError for two classes of one name."""
        unique = len(set(self.classes)) == len(self.classes)
        self.demand(unique, "two classes have one name", "name them apart")

    def check_split(self) -> None:
        """Raises DataError for an empty part, or an example that is repeated, shared or unknown."""
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
        self.demand(
            not shared, f"two parts share {counted(shared, 'image')}", "make the parts disjoint"
        )

    def check_norms(self) -> None:
        """Raises DataError for a mean or standard deviation that does not fit the channels."""
        channels = self.images.shape[1]
        numbers = torch.tensor([*self.mean, *self.std])
        fits = len(self.mean) == len(self.std) == channels and bool(numbers.isfinite().all())
        what = f"mean {[*self.mean]} and std {[*self.std]} do not fit {channels} channels"
        self.demand(fits and min(self.std) > 0, what, "give a mean and a positive std per channel")


def channel_statistics(
    images: Bytes, examples: Tensor
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and the standard deviation of each channel, where white is 1.

    They come from exact counts of the 256 values, so that no order of summation matters. The
    deviation of a constant channel is given as 1.

    Args:
        images: `[N, C, H, W]` uint8.
        examples: `[n]` long, the numbers of the images that count.
    """
    counts = torch.zeros(images.shape[1], 256, dtype=torch.long)
    for chunk in examples.split(at_once(images)):
        for channel, values in enumerate(images[chunk].unbind(1)):
            counts[channel] += torch.bincount(values.flatten(), minlength=256)
    share = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    values = torch.arange(256, dtype=torch.double) / 255
    mean = share @ values
    std = (share * (values - mean[:, None]).square()).sum(1).sqrt()
    std[(counts > 0).sum(1) < 2] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())
