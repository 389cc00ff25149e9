"""Random changes of batches of images together with their masks: geometry and colours."""

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
        flip: whether images are flipped left to right, each with a chance of one half.
        flip_vertical: likewise, top to bottom.
        rotate: whether they are rotated, by 0, 90, 180 or 270 degrees; windows must be square.
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
        """The height and width of the window that is cut from an image of this size."""
        return (min(self.crop, height), min(self.crop, width)) if self.crop else (height, width)

    def draw(self, seed: int, number: int, size: int, height: int, width: int) -> MaskDraws:
        """The random choices for one batch.

        Args:
            seed: of all choices.
            number: of the batch.
            size: B, its images.
            height: of the images.
            width: of the images.
        """
        rng = np.random.default_rng(keyed_seed(seed, "augment", str(number)))
        flipped = rng.integers(0, 2, (2, size)) * [[self.flip_vertical], [self.flip]]
        rotations = rng.integers(0, 4, size) * self.rotate
        zoom = self.scale ** rng.uniform(-1, 1, size)
        corner = rng.random((2, size))
        brightness = self.brightness * rng.uniform(-1, 1, size)
        contrast = 1 + self.contrast * rng.uniform(-1, 1, size)
        sizes = zip((height, width), self.window(height, width), flipped, corner, strict=True)
        rows, columns = (self.positions(*axis, zoom) for axis in sizes)
        return MaskDraws(
            rows,
            columns,
            torch.from_numpy(rotations),
            torch.from_numpy(brightness),
            torch.from_numpy(contrast),
        )

    def positions(
        self, length: int, cut: int, flipped: np.ndarray, corner: np.ndarray, zoom: np.ndarray
    ) -> Tensor:
        """Where on one axis of the image the pixels of each window come from, `[B, cut]`.

        Args:
            length: pixels of the image on this axis.
            cut: pixels of the window.
            flipped: `[B]`, 1 where the axis is reversed.
            corner: `[B]`, where the window begins, from 0 to 1.
            zoom: `[B]`, the factors.
        """
        spare = length - cut / zoom
        first = corner * spare if self.scale > 1 else np.floor(corner * (spare + 1))
        steps = first[:, None] + (np.arange(cut) + 0.5) / zoom[:, None] - 0.5
        return torch.from_numpy(np.where(flipped[:, None], steps[:, ::-1], steps)).float()

    def geometric(
        self, images: Tensor, masks: Tensor, draws: MaskDraws, which: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Images `[n, C, h, w]` and masks `[n, h, w]`, cropped, zoomed, flipped and rotated alike.

        Args:
            images: `[n, C, H, W]` normalised, some of a batch.
            masks: `[n, H, W]` uint8.
            draws: the choices for the batch.
            which: `[n]` long, the positions of the images in the batch.
        """
        device, (height, width) = images.device, masks.shape[1:]
        rows = draws.rows[which].to(device, non_blocking=True)
        columns = draws.columns[which].to(device, non_blocking=True)
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
            sampled = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)
            masks = (sampled[:, 0] + UNLABELLED).to(torch.uint8)
        if self.rotate and len(images):  # there are none where processes outnumber a batch
            quarters = draws.rotations[which].tolist()
            images = torch.stack(
                [x.rot90(k, (1, 2)) for x, k in zip(images, quarters, strict=True)]
            )
            masks = torch.stack([x.rot90(k, (0, 1)) for x, k in zip(masks, quarters, strict=True)])
        return images, masks

    def colour_jitter(self, images: Tensor, std: Tensor, draws: MaskDraws, which: Tensor) -> Tensor:
        """The images with other brightness and contrast, `[n, C, H, W]`.

        Args:
            images: `[n, C, H, W]` normalised, some of a batch.
            std: `[C, 1, 1]`, by which they were normalised.
            draws: the choices for the batch.
            which: `[n]` long, the positions of the images in the batch.
        """
        if not (self.brightness or self.contrast):
            return images
        brightness, contrast = (
            x[which].to(images, non_blocking=True)[:, None, None, None]
            for x in (draws.brightness, draws.contrast)
        )
        mean = images.mean((1, 2, 3), keepdim=True)
        return mean + (images - mean) * contrast + brightness / std


@dataclass
class MaskDraws:
    """The random choices of one batch.

    Args:
        rows: `[B, h]`, the rows of the image that those of the window come from.
        columns: `[B, w]`, likewise.
        rotations: `[B]`, how many times the window is rotated by 90 degrees.
        brightness: `[B]`, what is added to values between 0 and 1.
        contrast: `[B]`, the factors.
    """

    rows: Tensor
    columns: Tensor
    rotations: Tensor
    brightness: Tensor
    contrast: Tensor
