"""Images with class labels: one embedded set, two of the Hub, and a user's own."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt

from tasks.data.image_set import ImageSet, statistics, stratified

Share = Annotated[float, Gt(0), Lt(1)]
Seed = Annotated[int, Ge(0)]
Batch = Annotated[int, Ge(1)]


class Digits:
    """Handwritten digits of 8 x 8 grey pixels, embedded in scikit-learn: no download.

    1437 images for training and validation and 360 for the test, stratified by class. The test
    part is always the same. Values from 0 to 16 are scaled to 0 to 255.

    Source: Alpaydin and Kaynak 1998, https://doi.org/10.24432/C50P49, its test part.

    Args:
        val: share of the 1437 images that is for validation.
        seed: of the choice of the validation part.
        batch_size: images of a training batch over all processes.
    """

    def __init__(self, val: Share = 0.1, seed: Seed = 0, batch_size: Batch = 64):
        self.val, self.seed, self.batch_size = val, seed, batch_size

    def load(self) -> ImageSet:
        from sklearn.datasets import load_digits

        raw = load_digits()
        pixels = torch.from_numpy(raw.images)
        images = (pixels * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
        labels = torch.from_numpy(raw.target).long()
        rest, test = stratified(labels, 360, 0, "test")
        kept, chosen = stratified(labels[rest], round(self.val * len(rest)), self.seed, "val")
        train, val = rest[kept], rest[chosen]
        mean, std = statistics(images[train])
        names = tuple(str(name) for name in raw.target_names)
        parts = (train, val, test)
        data = ImageSet(images, labels, *parts, names, mean, std, "digits")
        data.batch_size = self.batch_size
        return data.checked()
