"""A trained classifier of images, called in Python."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.cnn.predict import probabilities
from tasks.inference.images import Pictures, batch_of, image_signature
from tasks.inference.signature import Signature
from tasks.inference.trained_module import Trained


class TrainedLabels(Trained):
    """A classifier of images: called with images, it gives the probabilities of their classes."""

    hub_task = "image-classification"
    example = "net(images)  # probabilities [B, classes]; uint8 [B, C, H, W] or PIL images"

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """The images as the net takes them: normalised, `[B, C, H, W]` in the size of the training.

        Args:
            images: `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        return (self.learned.normalised(self.pixels(images).to(self.learned.device)),)

    def pixels(self, images: Pictures) -> Tensor:
        """The images as one batch `[B, C, H, W]` uint8, scaled and cut to the training's size."""
        channels, *size = self.learned.images.shape[1:]
        return batch_of(images, channels, (size[0], size[1]))

    def signature(self) -> Signature:
        return image_signature(self.learned)

    @torch.no_grad()
    def forward(self, images: Pictures) -> Tensor:
        """The probability of each class, `[B, classes]`."""
        return probabilities(self.learned, self.pixels(images))
