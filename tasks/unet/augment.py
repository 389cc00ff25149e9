"""Random changes of images together with their masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.data.masks.dataset import UNLABELLED
from zoo.seeding import keyed_seed


@dataclass
class AugmentMasks:
    """Random changes of whole batches of images and masks, drawn for each batch by its number.

    Args:
        flip: mirror every second image, left to right.
        flip_vertical: mirror every second image, top to bottom.
        rotate: turn by 0, 90, 180 or 270 degrees; windows must be square.
        crop: side of a random square window, at most the image's; 0: the whole image.
        scale: zoom by a factor from 1 / scale to scale, uniform in its logarithm; 1: none. Images
            are interpolated, masks take the nearest pixel; beyond the image is the mean colour
            without a label.
        brightness: add a number of at most this size to all values, which lie between 0 and 1.
        contrast: multiply the difference to the image's mean by 1 - contrast to 1 + contrast.
    """

    flip: bool = False
    flip_vertical: bool = False
    rotate: bool = False
    crop: int = 0
    scale: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0

    def window(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what is cut from an image."""
        return (min(self.crop, height), min(self.crop, width)) if self.crop else (height, width)

    def draw(self, seed: int, number: int, size: int, height: int, width: int) -> MaskDraws:
        """What is drawn for one batch of images."""
        rng = np.random.default_rng(keyed_seed(seed, "augment", str(number)))
        mirrored = rng.integers(0, 2, (2, size)) * [[self.flip_vertical], [self.flip]]
        turns = rng.integers(0, 4, size) * self.rotate
        zoom = self.scale ** rng.uniform(-1, 1, size)
        place = rng.random((2, size))
        brightness = self.brightness * rng.uniform(-1, 1, size)
        contrast = 1 + self.contrast * rng.uniform(-1, 1, size)
        sizes = zip((height, width), self.window(height, width), mirrored, place, strict=True)
        rows, columns = (self.positions(*axis, zoom) for axis in sizes)
        return MaskDraws(
            rows,
            columns,
            torch.from_numpy(turns),
            torch.from_numpy(brightness),
            torch.from_numpy(contrast),
        )

    def positions(
        self, length: int, cut: int, mirrored: np.ndarray, place: np.ndarray, zoom: np.ndarray
    ) -> Tensor:
        """`[B, cut]`: where on an axis of the image a window's pixels come from."""
        spare = length - cut / zoom
        first = place * spare if self.scale > 1 else np.floor(place * (spare + 1))
        steps = first[:, None] + (np.arange(cut) + 0.5) / zoom[:, None] - 0.5
        return torch.from_numpy(np.where(mirrored[:, None], steps[:, ::-1], steps)).float()

    def moved(
        self, images: Tensor, masks: Tensor, draws: MaskDraws, which: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Normalised images `[B, C, H, W]` and masks `[B, H, W]`; `which` names their draws."""
        device, (height, width) = images.device, masks.shape[1:]
        rows, columns = draws.rows[which].to(device), draws.columns[which].to(device)
        if self.scale == 1:
            batch = torch.arange(len(images), device=device)[:, None, None]
            where = rows.long()[:, :, None], columns.long()[:, None]
            images = images[batch, :, *where].permute(0, 3, 1, 2)
            masks = masks[batch, *where]
        else:
            y = ((rows + 0.5) * (2 / height) - 1)[:, :, None].expand(-1, -1, columns.shape[1])
            x = ((columns + 0.5) * (2 / width) - 1)[:, None].expand(-1, rows.shape[1], -1)
            grid = torch.stack([x, y], -1)
            images = F.grid_sample(images, grid, align_corners=False)
            shifted = (masks.float() - UNLABELLED)[:, None]  # beyond the image is 0
            found = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)
            masks = (found[:, 0] + UNLABELLED).to(torch.uint8)
        if self.rotate:
            turns = draws.turns[which].tolist()
            images = torch.stack([x.rot90(k, (1, 2)) for x, k in zip(images, turns, strict=True)])
            masks = torch.stack([x.rot90(k, (0, 1)) for x, k in zip(masks, turns, strict=True)])
        return images, masks

    def lit(self, images: Tensor, std: Tensor, draws: MaskDraws, which: Tensor) -> Tensor:
        """Normalised images with other brightness and contrast; `std` `[C, 1, 1]` of the data."""
        if not (self.brightness or self.contrast):
            return images
        brightness, contrast = (
            x[which].to(images)[:, None, None, None] for x in (draws.brightness, draws.contrast)
        )
        mean = images.mean((1, 2, 3), keepdim=True)
        return mean + (images - mean) * contrast + brightness / std


@dataclass
class MaskDraws:
    """The random choices of one batch.

    Args:
        rows: `[B, h]` the rows of the image that the window's rows come from.
        columns: `[B, w]` likewise.
        turns: `[B]` quarter turns of the window.
        brightness: `[B]` what is added.
        contrast: `[B]` the factor.
    """

    rows: Tensor
    columns: Tensor
    turns: Tensor
    brightness: Tensor
    contrast: Tensor
