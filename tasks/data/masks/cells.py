"""Drawn images of touching cells under a microscope: no download."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Le

from tasks.data.image_dataset import channel_statistics
from tasks.data.masks.dataset import MaskSet
from tasks.data.shares import Seed
from zoo.config.sizes import Batch, Count
from zoo.seeding import keyed_seed
from zoo.system.machine_memory import refuse_beyond_memory

FEWEST, MOST = 6, 11  # cells in an image of 64 x 64
CLASSES = ("background", "cell", "boundary")
PRESSED = 0.8  # distance of two centres in units of the radii, at least, where there is room
ROUNDS = 20  # of moving cells apart
AT_ONCE = 32  # images that are drawn together


class Cells:
    """Cells that touch, in grey: background, cell and the boundary of one pixel between them.

    A cell is an ellipse; where ellipses overlap, a pixel belongs to the one whose centre is nearer
    in units of its own radius: cells press against each other as in a colony. Each cell has
    a brightness of its own, bright inside and darker towards its membrane; light falls unevenly on
    the image, the optics blur it and the camera adds noise. A pixel of a cell beside the background
    or beside an earlier cell is of the class boundary.

    Args:
        train: number of training images; likewise `val` and `test`.
        size: pixels of each side.
        noise: standard deviation of the camera's noise, where white is 1.
        seed: of the images.
        batch_size: images of a training batch over all processes.
    """

    redrawn: ClassVar[str] = "anew"

    def __init__(
        self,
        train: Count = 160,
        val: Count = 40,
        test: Count = 60,
        size: Annotated[int, Ge(16), Le(1024)] = 64,
        noise: Annotated[float, Ge(0)] = 0.06,
        seed: Seed = 0,
        batch_size: Batch = 8,
    ):
        self.counts = {"train": train, "val": val, "test": test}
        self.size, self.noise, self.seed, self.batch_size = size, noise, seed, batch_size

    def load(self) -> MaskSet:
        """Draws the images and masks of all parts."""
        count, pixels = sum(self.counts.values()), self.size**2
        layers = min(AT_ONCE, max(self.counts.values())) * most_cells(self.size)
        what = f"{count:,} images of {self.size} x {self.size} pixels with their cells"
        refuse_beyond_memory((12 * layers + 2 * count) * pixels, what, "data")
        drawn = []
        for part, count in self.counts.items():
            rng = np.random.default_rng(keyed_seed(self.seed, "cells", part))
            for first in range(0, count, AT_ONCE):
                some = min(AT_ONCE, count - first)
                drawn.append(colony(rng, some, self.size, self.noise))
        images, masks = (
            torch.from_numpy(np.concatenate(batches)) for batches in zip(*drawn, strict=True)
        )
        train, val, test = torch.arange(len(images)).split([*self.counts.values()])
        mean, std = channel_statistics(images, train)
        data = MaskSet(images, masks, train, val, test, CLASSES, mean, std, "cells")
        data.batch_size = self.batch_size
        return data.checked()


def most_cells(size: int) -> int:
    """The most cells in an image of `size` x `size` pixels."""
    return max(1, round(MOST * (size / 64) ** 2))


def colony(rng: np.random.Generator, count: int, size: int, noise: float) -> tuple[np.ndarray, ...]:
    """Draws images of cells and their masks.

    Args:
        rng: of all choices.
        count: number of images.
        size: pixels of each side.
        noise: standard deviation of the camera's noise, where white is 1.

    Returns:
        Images `[count, 1, size, size]` and masks `[count, size, size]`, both uint8.
    """
    area = (size / 64) ** 2
    number = rng.integers(round(FEWEST * area), round(MOST * area) + 1, count)
    cells = most_cells(size)
    centres = rng.uniform(0, size, (2, count, cells)).astype(np.float32)
    long = rng.uniform(7, 12, (count, cells, 1, 1)).astype(np.float32)
    short = long * rng.uniform(0.65, 1, (count, cells, 1, 1)).astype(np.float32)
    angle = rng.uniform(0, np.pi, (count, cells, 1, 1)).astype(np.float32)
    level = rng.uniform(0.5, 0.95, (count, cells)).astype(np.float32)
    move_apart(centres, np.sqrt(long * short)[:, :, 0, 0])
    row, column = centres[..., None, None]
    y, x = np.mgrid[:size, :size].astype(np.float32)[:, None, None]
    along = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
    across = (y - row) * np.cos(angle) - (x - column) * np.sin(angle)
    radius = np.hypot(along / long, across / short)  # 1 on the ellipse
    radius[np.arange(cells) >= number[:, None]] = np.inf
    nearest = radius.min(1)
    owner = np.where(nearest < 1, radius.argmin(1) + 1, 0)
    edge = boundaries(owner)
    brightness = np.take_along_axis(level, np.maximum(owner - 1, 0).reshape(count, -1), 1)
    body = brightness.reshape(owner.shape) * (1 - 0.35 * np.minimum(nearest, 1) ** 2)
    scene = np.where(edge, 0.45 * body, np.where(owner > 0, body, 0.08))
    scene = blurred(scene * light(rng, count, size))
    scene += noise * rng.standard_normal(scene.shape, dtype=np.float32)
    images = (scene * 255).round().clip(0, 255).astype(np.uint8)[:, None]
    return images, np.where(edge, 2, owner > 0).astype(np.uint8)


def move_apart(centres: np.ndarray, radius: np.ndarray) -> None:
    """Moves cells apart that lie in each other.

    Args:
        centres: `[2, count, cells]`, rows and columns, which are changed in place.
        radius: `[count, cells]`.
    """
    least = PRESSED * (radius[:, :, None] + radius[:, None])
    for _ in range(ROUNDS):
        way = centres[..., None] - centres[:, :, None]
        distance = np.hypot(*way)
        push = np.where((distance > 0) & (distance < least), least / (distance + 1e-6) - 1, 0)
        centres += (way * push).sum(-1) / 4


def boundaries(owner: np.ndarray) -> np.ndarray:
    """Which pixels of cells lie beside the background or beside a cell of a lower number.

    Args:
        owner: `[count, size, size]`, the number of the cell of each pixel from 1, 0 for background.

    Returns:
        Bool of the same shape.
    """
    padded = np.pad(owner, ((0, 0), (1, 1), (1, 1)), mode="edge")
    beside = [padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]]
    return np.min(beside, axis=0) < owner


def light(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """The brightness `[count, size, size]` of light that grows in a random direction."""
    angle = rng.uniform(0, 2 * np.pi, (count, 1, 1)).astype(np.float32)
    y, x = np.mgrid[:size, :size].astype(np.float32) / (size - 1) - 0.5
    return 1 + 0.4 * (x * np.cos(angle) + y * np.sin(angle))


def blurred(scene: np.ndarray) -> np.ndarray:
    """The images `[count, size, size]`, blurred by weights 1, 4, 1 along both axes."""
    for axis in (1, 2):
        width = [(0, 0)] * 3
        width[axis] = (1, 1)
        padded = np.pad(scene, width, mode="edge")
        low, middle, high = (
            np.take(padded, range(k, k + scene.shape[axis]), axis) for k in range(3)
        )
        scene = (low + 4 * middle + high) / 6
    return scene
