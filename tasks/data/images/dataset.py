"""Images with class labels and a split, and what must hold of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.data.image_dataset import ImageDataset
from tasks.data.phrases import counted


@dataclass
class ImageSet(ImageDataset):
    """Images with a class each: the targets are labels `[N]` long, from 0."""

    targets: Tensor

    @property
    def labels(self) -> Tensor:
        """The class `[N]` long of each image."""
        return self.targets

    def counts(self, part: Tensor) -> Tensor:
        """The number of images of each class, `[classes]` long, in a part `[n]` long."""
        return torch.bincount(self.labels[part], minlength=len(self.classes))

    def checked(self) -> ImageSet:
        """Returns itself; raises DataError for the first thing that is wrong."""
        self.check_images()
        labels, count, classes = self.labels, len(self.images), len(self.classes)
        shape = f"labels are {labels.dtype} of shape {[*labels.shape]}"
        fits = labels.shape == (count,) and labels.dtype == torch.long
        self.demand(fits, shape, f"give [{count}] long labels")
        few = f"the data has {counted(classes, 'class')}"
        self.demand(classes > 1, few, "give two classes or more")
        self.check_names()
        low, high = int(labels.min()), int(labels.max())
        span = f"labels run from {low} to {high} with {classes} classes"
        number = f"number the classes from 0 to {classes - 1}; leave out unlabelled images"
        self.demand(low >= 0 and high < classes, span, number)
        self.check_split()
        self.check_norms()
        return self
