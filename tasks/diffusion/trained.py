"""A trained diffusion model, called in Python."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tasks.diffusion.sample import SampleImages
from tasks.inference.images import Pictures, batch_of
from tasks.inference.trained_module import CALL, Trained
from zoo.config.options import checked


class TrainedImages(Trained):
    """A diffusion model: called with a count, it samples that many images."""

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """The images `[B, C, H, W]` with values between -1 and 1; the net takes them with noise.

        Args:
            images: `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        channels, *size = self.learned.images.shape[1:]
        pixels = batch_of(images, channels, (size[0], size[1]))
        return (pixels.to(self.learned.device) / 127.5 - 1,)

    def forward(
        self, count: int = 1, seed: int = 0, label: str | int | None = None, **options: Any
    ) -> Tensor:
        """Samples images `[count, C, H, W]` uint8.

        Args:
            count: of images.
            seed: of the noise that they begin with.
            label: name of their class, for conditional models; None: each in turn.
            options: `steps`, `scheduler` and `guidance` as of the verb `sample`.
        """
        arguments = {"count": count, "seed": seed, "label": label, **options}
        return SampleImages(**checked(SampleImages, arguments, CALL)).images(self.learned)
