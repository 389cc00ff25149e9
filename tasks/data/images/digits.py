"""Handwritten digits, embedded in scikit-learn: no download."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tasks.data.image_dataset import channel_statistics
from tasks.data.images.dataset import ImageSet
from tasks.data.shares import Seed, Share, share_size, stratified_split
from zoo.config.sizes import Batch


class Digits:
    """Handwritten digits of 8 x 8 grey pixels, embedded in scikit-learn: no download.

    1437 images for training and validation and 360 for the test, stratified by class. The test
    part is always the same, unless `resplit`. Values from 0 to 16 are scaled to 0 to 255.

    Source: Alpaydin and Kaynak 1998, https://doi.org/10.24432/C50P49, its test part.

    Args:
        val: share of the 1437 images that is for validation.
        resplit: whether the test part is chosen by the seed as well.
        seed: of the choice of the validation part.
        batch_size: images of a training batch over all processes.
    """

    redrawn: ClassVar[str] = "split"

    def __init__(
        self, val: Share = 0.1, resplit: bool = False, seed: Seed = 0, batch_size: Batch = 64
    ):
        self.val, self.resplit, self.seed, self.batch_size = val, resplit, seed, batch_size

    def load(self) -> ImageSet:
        """Reads the images and labels, and splits them."""
        rows = digits_rows()
        pixels = rows[:, :64].view(-1, 1, 8, 8)
        images = (pixels * (255 / 16)).round().to(torch.uint8)
        labels = rows[:, 64].long()
        key = self.seed + 1 if self.resplit else 0  # 0 is the usual split
        rest, test = stratified_split(labels, torch.arange(len(labels)), 360, key, "test")
        train, val = stratified_split(labels, rest, share_size(self.val, rest), self.seed, "val")
        mean, std = channel_statistics(images, train)
        names = tuple(str(digit) for digit in range(10))
        parts = (train, val, test)
        data = ImageSet(images, labels, *parts, names, mean, std, "digits")
        data.batch_size = self.batch_size
        return data.checked()


def digits_rows() -> Tensor:
    """Reads scikit-learn's file, without an import that takes seconds.

    Returns:
        `[1797, 65]` float: 64 pixels from 0 to 16, row by row, and the label of each image.
    """
    from importlib.util import find_spec

    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    return torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.float32))
