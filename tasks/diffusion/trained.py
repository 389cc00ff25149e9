"""A trained diffusion model, called in Python."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tasks.diffusion.sample import SampleImages
from tasks.inference.images import Pictures, batch_of
from tasks.inference.trained_module import CALL, Trained
from zoo.config.options import checked


class TrainedImages(Trained):
    """A diffusion model."""

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """Images between -1 and 1; the module takes them noised, with timesteps and labels.

        Args:
            images: `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        channels, *size = self.learned.images.shape[1:]
        pixels = batch_of(images, channels, (size[0], size[1]))
        return (pixels.to(self.learned.device) / 127.5 - 1,)

    def forward(
        self, count: int = 1, seed: int = 0, label: str | int | None = None, **options: Any
    ) -> Tensor:
        """New images `[count, C, H, W]` uint8.

        Args:
            count: of images.
            seed: of the noise that they begin with.
            label: name of their class, for conditional models; None: each in turn.
            options: `steps`, `scheduler` and `guidance` as of the verb `sample`.
        """
        given = {"count": count, "seed": seed, "label": label, **options}
        return SampleImages(**checked(SampleImages, given, CALL)).made(self.learned)
