"""Images with class labels and a split, and what must hold of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.init import generator


@dataclass
class ImageSet:
    """Images of one size with labels and a split.

    Args:
        images: `[N, C, H, W]` uint8.
        labels: `[N]` long, from 0.
        train: `[n]` long example numbers; likewise `val` and `test`.
        classes: the name of each class.
        mean: per channel, of values between 0 and 1, over the training part.
        std: likewise; 1 for a constant channel.
        where: the folder or option that the images come from, for messages.
        skipped: images that could not be read and were left out.
        batch_size: images of a training batch over all processes.
    """

    images: Tensor
    labels: Tensor
    train: Tensor
    val: Tensor
    test: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    where: str
    skipped: int = 0
    batch_size: int = 128

    def digest(self) -> str:
        """SHA-256 over images, labels and the three parts, not over the batch size."""
        digest = hashlib.sha256()
        for part in (self.images, self.labels, self.train, self.val, self.test):
            digest.update(f"{tuple(part.shape)}{part.dtype}".encode())
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def checked(self) -> ImageSet:
        """Itself, or DataError for the first thing that is wrong."""

        def demand(holds: bool | Tensor, what: str, fix: str) -> None:
            if not holds:
                raise DataError(what, self.where, fix)

        images, labels, names = self.images, self.labels, self.classes
        shape = f"images are {images.dtype} of shape {[*images.shape]}"
        fits = images.ndim == 4 and images.numel() > 0 and images.dtype == torch.uint8
        demand(fits, shape, "give [images, channels, height, width] of uint8")
        count, channels = images.shape[:2]
        shape = f"labels are {labels.dtype} of shape {[*labels.shape]}"
        fits = labels.shape == (count,) and labels.dtype == torch.long
        demand(fits, shape, f"give [{count}] long labels")
        demand(len(names) > 1, f"there are {len(names)} classes", "give two classes or more")
        demand(len(set(names)) == len(names), "two classes have one name", "name them apart")
        low, high = int(labels.min()), int(labels.max())
        span = f"labels run from {low} to {high} with {len(names)} classes"
        number = f"number the classes from 0 to {len(names) - 1}; leave out unlabelled images"
        demand(low >= 0 and high < len(names), span, number)
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
        numbers = torch.tensor([*self.mean, *self.std])
        fits = len(self.mean) == len(self.std) == channels and bool(numbers.isfinite().all())
        given = f"mean {[*self.mean]} and std {[*self.std]} do not fit {channels} channels"
        demand(fits and min(self.std) > 0, given, "give a mean and a positive std per channel")
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
    own = labels[among]
    values, sizes = own.unique(return_counts=True)
    exact = sizes.double() * (count / max(1, len(own)))
    quota = torch.minimum(exact.floor().long(), sizes - 1)
    order = (exact - quota).argsort(descending=True, stable=True)
    spare = order[(quota < sizes - 1)[order]]
    quota[spare[: count - int(quota.sum())]] += 1
    draws = generator(seed, "split", name)
    taken = torch.zeros(len(own), dtype=torch.bool)
    for value, share in zip(values, quota.tolist(), strict=True):
        members = (own == value).nonzero().flatten()
        taken[members[torch.randperm(len(members), generator=draws)[:share]]] = True
    return among[~taken], among[taken]
