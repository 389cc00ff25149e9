"""A trained segmentation net, called in Python."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.inference.images import Pictures, batch_of
from tasks.inference.trained_module import Trained
from tasks.unet.predict import mask_shares


class TrainedMasks(Trained):
    """A segmentation net."""

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """Images normed, in their own size.

        Args:
            images: of one size, `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        return (self.learned.normalised(self.pixels(images).to(self.learned.device)),)

    def pixels(self, images: Pictures) -> Tensor:
        return batch_of(images, self.learned.images.shape[1], None)

    @torch.no_grad()
    def forward(self, images: Pictures) -> Tensor:
        """The probability of each class at each pixel, `[B, classes, H, W]`.

        The net sees shorter sides of the training's length; `.argmax(1)` is the map of classes.
        """
        pixels = self.pixels(images)
        shares = [mask_shares(self.learned, each, self.learned.data.shorter) for each in pixels]
        return torch.stack(shares)
