"""Random changes of batches of images: crop, flip, cutout, mixup and cutmix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.seeding import generator, keyed_seed

Flip = bool | Literal["alternating"]
Edge = Literal["black", "reflect"]


@dataclass
class Augment:
    """Random changes of whole batches of images, drawn for each batch by its number.

    Args:
        crop: pixels that are added at every side before a random window of the old size is cut
            out.
        flip: whether images are flipped left to right, each with a chance of one half;
            `alternating`: that chance in the first pass, then in every other one (Jordan 2024,
            arXiv:2404.00498, section 3.6).
        cutout: side of a random square that is set to the mean (DeVries and Taylor 2017,
            arXiv:1708.04552), 0 for none.
        mixup: parameter of the Beta distribution of the share of another image (Zhang et al. 2018,
            arXiv:1710.09412), 0 for none.
        cutmix: likewise, of the share that a box leaves (Yun et al. 2019, arXiv:1905.04899), 0 for
            none; with both, a batch has one of them, with equal chances.
        edge: what crop adds: black pixels, or the image mirrored at its edges.
    """

    crop: int = 0
    flip: Flip = False
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    edge: Edge = "black"

    def draw(self, seed: int, number: int, size: int, height: int, width: int) -> ImageDraws:
        """The random choices for one batch.

        Args:
            seed: of all choices.
            number: of the batch.
            size: B, its images.
            height: of the images.
            width: of the images.
        """
        rng = np.random.default_rng(keyed_seed(seed, "augment", str(number)))

        def integers(high: int) -> Tensor:
            return torch.from_numpy(rng.integers(0, high, size))

        window = torch.stack([integers(2 * self.crop + 1), integers(2 * self.crop + 1)])
        flipped = torch.zeros(size, dtype=torch.bool)
        if self.flip is True:
            flipped = integers(2).bool()
        hole = torch.stack([integers(height), integers(width)])
        mixes = self.mixup > 0 and (not self.cutmix or rng.random() < 0.5)
        alpha = self.mixup if mixes else self.cutmix
        share = rng.beta(alpha, alpha) if alpha else 1.0
        partner = torch.from_numpy(rng.permutation(size))
        box = None
        if alpha and not mixes:
            box, share = cut_box(rng, share, height, width)
        return ImageDraws(window, flipped, hole, partner, float(share), box)

    def crop_and_flip(self, images: Tensor, draws: ImageDraws, which: Tensor) -> Tensor:
        """The images cropped and flipped, `[n, C, H, W]`.

        Args:
            images: `[n, C, H, W]`, some of a batch.
            draws: the choices for the batch.
            which: `[n]` long, the positions of the images in the batch.
        """
        if not (self.crop or self.flip):
            return images
        height, width = images.shape[2:]
        device = images.device
        top, left = draws.window[:, which].to(device, non_blocking=True)
        rows = top[:, None] + torch.arange(height, device=device)
        columns = torch.arange(width, device=device).expand(len(images), -1)
        flipped = draws.flipped[which].to(device, non_blocking=True)[:, None]
        columns = torch.where(flipped, columns.flip(1), columns)
        columns = left[:, None] + columns
        if self.edge == "reflect":
            rows, columns = (
                reflected(rows - self.crop, height),
                reflected(columns - self.crop, width),
            )
        else:
            images = F.pad(images, (self.crop,) * 4)
        batch = torch.arange(len(images), device=device)[:, None, None]
        return images[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def blank_square(self, images: Tensor, draws: ImageDraws, which: Tensor) -> Tensor:
        """Normalised images `[n, C, H, W]` with a square set to zero, which is their mean.

        Arguments are those of `crop_and_flip`.
        """
        if not self.cutout:
            return images
        height, width = images.shape[2:]
        corner = draws.hole[:, which] - self.cutout // 2
        top, left = corner.to(images.device, non_blocking=True)[..., None]
        rows = torch.arange(height, device=images.device) - top
        columns = torch.arange(width, device=images.device) - left
        inside = ((rows >= 0) & (rows < self.cutout))[:, :, None]
        inside = inside & ((columns >= 0) & (columns < self.cutout))[:, None, :]
        return images.masked_fill(inside[:, None], 0.0)


def reflected(positions: Tensor, size: int) -> Tensor:
    """Positions from -size + 1 to 2 size - 2, those outside of an image mirrored at its edges.

    >>> reflected(torch.arange(-2, 6), 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    return size - 1 - (size - 1 - positions.abs()).abs()


class AlternatingFlips:
    """Which images are flipped in a pass over the data: at random in the first, then in turns.

    Args:
        seed: of the first pass.
        count: images in the whole data set.
    """

    def __init__(self, seed: int, count: int):
        self.first = torch.randint(2, (count,), generator=generator(seed, "flips"))

    def flipped(self, examples: Tensor, epoch: int) -> Tensor:
        """Whether each of the examples `[B]` long is flipped in a pass from 0 on, `[B]` bool."""
        return (self.first[examples] + epoch) % 2 == 1


@dataclass
class ImageDraws:
    """The random choices of one batch.

    Args:
        window: `[2, B]` long, top and left of the crop.
        flipped: `[B]` bool, whether an image is flipped.
        hole: `[2, B]` long, centre of the cutout.
        partner: `[B]` long, the position of the image that is mixed into each.
        share: of the image itself in the mixture; 1: nothing is mixed.
        box: slices of rows and columns that come from the partner; None: all pixels are mixed.
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
    """A box of the area 1 - share around a random centre, and the share that it leaves.

    The box is cut at the borders of the image, so that it can leave more than the share asked for.
    """
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
