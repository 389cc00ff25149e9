"""Images with class labels and a split, and what must hold of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.data.images.labelled import ImageDataset
from zoo.seeding import generator


@dataclass
class ImageSet(ImageDataset):
    """Images with a class each; the targets are `[N]` long, from 0."""

    @property
    def labels(self) -> Tensor:
        return self.targets

    def counts(self, part: Tensor) -> Tensor:
        """The images of each class in a part, `[classes]` long."""
        return torch.bincount(self.labels[part], minlength=len(self.classes))

    def checked(self) -> ImageSet:
        """Itself, or DataError for the first thing that is wrong."""
        self.check_images()
        labels, count, classes = self.labels, len(self.images), len(self.classes)
        shape = f"labels are {labels.dtype} of shape {[*labels.shape]}"
        fits = labels.shape == (count,) and labels.dtype == torch.long
        self.demand(fits, shape, f"give [{count}] long labels")
        self.demand(classes > 1, f"there are {classes} classes", "give two classes or more")
        self.check_names()
        low, high = int(labels.min()), int(labels.max())
        span = f"labels run from {low} to {high} with {classes} classes"
        number = f"number the classes from 0 to {classes - 1}; leave out unlabelled images"
        self.demand(low >= 0 and high < classes, span, number)
        self.check_split()
        self.check_norms()
        return self


def statistics(images: Tensor, among: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of values between 0 and 1.

    They come from exact counts of the 256 values, so that no order of summation matters. The
    deviation of a constant channel is given as 1.

    Args:
        images: `[N, C, H, W]` uint8.
        among: `[n]` long, the examples that count.
    """
    counts = torch.zeros(images.shape[1], 256, dtype=torch.long)
    for part in among.split(1024):
        for channel, values in enumerate(images[part].unbind(1)):
            counts[channel] += torch.bincount(values.flatten(), minlength=256)
    share = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    values = torch.arange(256, dtype=torch.double) / 255
    mean = share @ values
    std = (share * (values - mean[:, None]).square()).sum(1).sqrt()
    std[(counts > 0).sum(1) < 2] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())


def stratified(
    labels: Tensor, among: Tensor, count: int, seed: int, name: str
) -> tuple[Tensor, Tensor]:
    """Splits examples in two so that each class has its share in both parts.

    The share of a class is rounded by largest remainder; no class gives its last example away, so
    that the second part can be smaller than asked for.

    Args:
        labels: `[N]` long.
        among: `[n]` long, the examples to be split.
        count: size of the second part.
        seed: of the choice.
        name: of the second part, which keys the draws.

    Returns:
        The numbers of both parts, in the order of `among`.
    """
    classes = labels[among]
    values, sizes = classes.unique(return_counts=True)
    exact = sizes.double() * (count / max(1, len(classes)))
    quota = torch.minimum(exact.floor().long(), sizes - 1)
    order = (exact - quota).argsort(descending=True, stable=True)
    spare = order[(quota < sizes - 1)[order]]
    quota[spare[: count - int(quota.sum())]] += 1
    draws = generator(seed, "split", name)
    taken = torch.zeros(len(classes), dtype=torch.bool)
    for value, share in zip(values, quota.tolist(), strict=True):
        members = (classes == value).nonzero().flatten()
        taken[members[torch.randperm(len(members), generator=draws)[:share]]] = True
    return among[~taken], among[taken]
