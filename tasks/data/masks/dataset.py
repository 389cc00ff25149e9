"""Images with a class for every pixel and a split, and what must hold of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.data.file_rows import Bytes, at_once, byte_counts
from tasks.data.image_dataset import ImageDataset
from tasks.data.phrases import counted

UNLABELLED = 255  # in masks: no class is known, and no loss or metric sees the pixel


@dataclass
class MaskSet(ImageDataset):
    """Images with masks: the targets are `[N, H, W]` uint8, classes from 0, or `UNLABELLED`.

    Args:
        shorter: pixels to which the shorter sides of images were scaled; None: none was scaled.
    """

    batch_size: int = 8
    shorter: int | None = None

    @property
    def masks(self) -> Bytes:
        """The masks `[N, H, W]` uint8."""
        return self.targets

    def counts(self, part: Tensor) -> Tensor:
        """The number of pixels of each class, `[classes]` long, in a part `[n]` long."""
        counts = torch.zeros(256, dtype=torch.long)
        for some in part.split(at_once(self.masks)):
            counts += torch.bincount(self.masks[some].flatten(), minlength=256)
        return counts[: len(self.classes)]

    def checked(self) -> MaskSet:
        """Returns itself; raises DataError for the first thing that is wrong."""
        self.check_images()
        masks, classes = self.masks, len(self.classes)
        count, _, *size = self.images.shape
        shape = f"masks are {masks.dtype} of shape {[*masks.shape]}"
        fits = masks.shape == (count, *size) and masks.dtype == torch.uint8
        self.demand(fits, shape, f"give {[count, *size]} of uint8")
        span = f"the data has {counted(classes, 'class')}"
        self.demand(1 < classes <= UNLABELLED, span, f"give 2 to {UNLABELLED}")
        self.check_names()
        self.check_split()
        present = byte_counts(masks).nonzero().flatten().tolist()
        strange = [value for value in present if classes <= value != UNLABELLED]
        known = f"number the classes from 0 to {classes - 1}, and {UNLABELLED} for none"
        self.demand(not strange, f"masks hold {strange} with {classes} classes", known)
        for name, part in self.parts.items():
            labelled = int(self.counts(part).sum()) > 0
            what = f"no pixel of the {name} part has a class"
            self.demand(labelled, what, "give labelled masks")
        self.check_norms()
        return self
