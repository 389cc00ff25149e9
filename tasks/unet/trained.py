"""A trained segmentation net, called in Python."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.inference.images import Pictures, batch_of, image_signature
from tasks.inference.signature import Signature
from tasks.inference.trained_module import Trained
from tasks.unet.predict import mask_probabilities


class TrainedMasks(Trained):
    """A segmentation net: called with images, it gives probabilities at every pixel."""

    hub_task = "image-segmentation"
    example = "net(images)  # probabilities [B, classes, H, W]; uint8 [B, C, H, W] or PIL images"

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """The images as the net takes them, normalised, `[B, C, H, W]` in their own size.

        Args:
            images: of one size, `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        return (self.learned.normalised(self.pixels(images).to(self.learned.device)),)

    def pixels(self, images: Pictures) -> Tensor:
        """The images as one batch `[B, C, H, W]` uint8 with the channels of the training's."""
        return batch_of(images, self.learned.images.shape[1], None)

    def signature(self) -> Signature:
        return image_signature(self.learned, 2**self.learned.model.depth)

    @torch.no_grad()
    def forward(self, images: Pictures) -> Tensor:
        """The probability of each class at each pixel, `[B, classes, H, W]`.

        Images are scaled for the net as those of the training were; `.argmax(1)` gives the masks.
        """
        pixels = self.pixels(images)
        shorter = self.learned.data.shorter
        return torch.stack([mask_probabilities(self.learned, image, shorter) for image in pixels])
