"""A trained diffusion model, called in Python."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tasks.diffusion.sample import SampleImages
from tasks.inference.images import Pictures, batch_of
from tasks.inference.signature import Inputs, Signature, Sizes
from tasks.inference.trained_module import CALL, Trained
from zoo.config.options import checked


class TrainedImages(Trained):
    """A diffusion model: called with a count, it samples that many images."""

    hub_task = "unconditional-image-generation"
    example = "net(4, seed=0)  # images [4, C, H, W] uint8"

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """The images `[B, C, H, W]` with values between -1 and 1; the net takes them with noise.

        Args:
            images: `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        channels, *size = self.learned.images.shape[1:]
        pixels = batch_of(images, channels, (size[0], size[1]))
        return (pixels.to(self.learned.device) / 127.5 - 1,)

    def signature(self) -> Signature:
        noise, shape = self.learned.noise, tuple(self.learned.images.shape[1:])
        unseen = len(self.learned.data.classes)  # the label that stands for none

        def sizes(number: int) -> Sizes:
            return {"batch": number}

        def draw(sizes: Sizes, draws: torch.Generator) -> Inputs:
            size = sizes["batch"]
            x = torch.randn(size, *shape, generator=draws)
            t = torch.randint(noise.timesteps, (size,), generator=draws)
            labels = torch.randint(unseen + 1, (size,), generator=draws)
            return (x, t, labels) if self.module.conditional else (x, t)

        names = ["images", "timesteps", *(["labels"] if self.module.conditional else [])]
        about = {"timesteps": noise.timesteps, "predicts": noise.prediction, "no_label": unseen}
        axes = {name: {0: "batch"} for name in names}
        return Signature(axes, "prediction", sizes, draw, about)

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
