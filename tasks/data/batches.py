"""Batches of example numbers, and what is drawn for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.seeding import generator, keyed_seed


class Shuffled:
    """Batches without end, each one following from the seed and its own number alone.

    A pass is one order of all examples, cut into whole batches; the rest waits for another pass.

    Args:
        examples: `[n]` numbers of the examples.
        size: of a batch; at most n.
        seed: of the orders.
        number: of the first batch.
    """

    def __init__(self, examples: Tensor, size: int, seed: int, number: int = 0):
        self.examples = examples
        self.size = min(size, len(examples))
        self.seed = seed
        self.number = number
        self.order: tuple[int, Tensor] = (-1, examples)

    @property
    def per_pass(self) -> int:
        """Batches in one pass."""
        return len(self.examples) // self.size

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        while True:
            self.number += 1
            yield self.number - 1, self.batch(self.number - 1)

    def batch(self, number: int) -> Tensor:
        """The examples of one batch."""
        turn, slot = divmod(number, self.per_pass)
        if self.order[0] != turn:
            draws = generator(self.seed, "order", str(turn))
            self.order = turn, self.examples[torch.randperm(len(self.examples), generator=draws)]
        return self.order[1][slot * self.size : (slot + 1) * self.size]


class InOrder:
    """One pass over examples in pieces; Lightning would take a list for several loaders.

    Args:
        examples: `[n]` numbers of the examples.
        size: of a piece; the last one may be smaller.
    """

    def __init__(self, examples: Tensor, size: int):
        self.pieces = examples.split(size)

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.pieces)


@dataclass
class Augment:
    """Random changes of whole batches of images, drawn for each batch by its number.

    Args:
        crop: pixels of black that are added at every side before a window of the old size is cut.
        flip: mirror an image, left to right, or not, with equal chances.
        cutout: side of a square that is set to the mean (DeVries and Taylor 2017,
            arXiv:1708.04552), 0 for none.
        mixup: parameter of the Beta distribution of the share of another image (Zhang et al. 2018,
            arXiv:1710.09412), 0 for none.
        cutmix: likewise, as a box (Yun et al. 2019, arXiv:1905.04899); with both, each has every
            second batch.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    def draw(self, seed: int, number: int, size: int, height: int, width: int) -> Draws:
        """What is drawn for one batch."""
        rng = np.random.default_rng(keyed_seed(seed, "augment", str(number)))

        def integers(high: int) -> Tensor:
            return torch.from_numpy(rng.integers(0, high, size))

        window = torch.stack([integers(2 * self.crop + 1), integers(2 * self.crop + 1)])
        flipped = integers(2).bool() if self.flip else torch.zeros(size, dtype=torch.bool)
        hole = torch.stack([integers(height), integers(width)])
        mixes = self.mixup > 0 and (not self.cutmix or rng.random() < 0.5)
        alpha = self.mixup if mixes else self.cutmix
        share = rng.beta(alpha, alpha) if alpha else 1.0
        partner = torch.from_numpy(rng.permutation(size))
        box = None
        if alpha and not mixes:
            box, share = cut_box(rng, share, height, width)
        return Draws(window, flipped, hole, partner, float(share), box)

    def moved(self, images: Tensor, draws: Draws, which: Tensor) -> Tensor:
        """Cropped and flipped images `[B, C, H, W]`; `which` names their draws."""
        if not (self.crop or self.flip):
            return images
        height, width = images.shape[2:]
        device = images.device
        top, left = draws.window[:, which].to(device)
        rows = top[:, None] + torch.arange(height, device=device)
        columns = torch.arange(width, device=device).expand(len(images), -1)
        columns = torch.where(draws.flipped[which].to(device)[:, None], columns.flip(1), columns)
        columns = left[:, None] + columns
        padded = F.pad(images, (self.crop,) * 4)
        batch = torch.arange(len(images), device=device)[:, None, None]
        return padded[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def cut(self, images: Tensor, draws: Draws, which: Tensor) -> Tensor:
        """Normalised images with a square set to zero, their mean."""
        if not self.cutout:
            return images
        height, width = images.shape[2:]
        top, left = (draws.hole[:, which] - self.cutout // 2).to(images.device)[..., None]
        rows = torch.arange(height, device=images.device) - top
        columns = torch.arange(width, device=images.device) - left
        inside = ((rows >= 0) & (rows < self.cutout))[:, :, None]
        inside = inside & ((columns >= 0) & (columns < self.cutout))[:, None, :]
        return images.masked_fill(inside[:, None], 0.0)


@dataclass
class Draws:
    """The random choices of one batch.

    Args:
        window: `[2, B]` top and left of the crop.
        flipped: `[B]` whether mirrored.
        hole: `[2, B]` centre of the cutout.
        partner: `[B]` the other image of each mixture.
        share: of the image itself in the mixture; 1: nothing is mixed.
        box: slices of rows and columns that come from the partner, or None for a mixture of all.
    """

    window: Tensor
    flipped: Tensor
    hole: Tensor
    partner: Tensor
    share: float
    box: tuple[slice, slice] | None


def cut_box(
    rng: np.random.Generator, share: float, height: int, width: int
) -> tuple[tuple[slice, slice], float]:
    """A box of the area 1 - share around a random centre, and the share that it really leaves."""
    side = (1 - share) ** 0.5
    centre = rng.integers(0, height), rng.integers(0, width)
    top, left = (
        max(0, int(c - side * n / 2)) for c, n in zip(centre, (height, width), strict=True)
    )
    bottom, right = (
        min(n, int(c + side * n / 2)) for c, n in zip(centre, (height, width), strict=True)
    )
    area = max(0, bottom - top) * max(0, right - left)
    return (slice(top, bottom), slice(left, right)), 1 - area / (height * width)
