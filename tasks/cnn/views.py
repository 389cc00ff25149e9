"""Test-time augmentation: the views of an image over which evaluation averages the logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Views = Literal["mirror", "translate"]


def averaged_logits(model: Any, images: Tensor, views: Views | None) -> Tensor:
    """The logits `[B, classes]` of images `[B, C, H, W]`, a weighted mean over their views.

    Args:
        model: gives logits.
        images: as the model sees them.
        views: `mirror`: image and mirror image; `translate`: these two, and likewise the image
            moved by a pixel up and left and down and right, edges reflected: half of the weight is
            for the image in its place (Jordan 2024, arXiv:2404.00498, section 3.5). None: the
            image alone.
    """
    if views is None:
        return model(images).float()
    logits = [weight * model(view).float() for weight, view in seen(images, views)]
    return torch.stack(logits).sum(0)


def seen(images: Tensor, views: Views) -> Iterator[tuple[float, Tensor]]:
    """Yields each view of images `[B, C, H, W]` with its weight; the weights add up to 1."""
    moved = [(1.0, images)]
    if views == "translate":
        height, width = images.shape[2:]
        padded = F.pad(images, (1, 1, 1, 1), "reflect")
        corners = padded[:, :, :height, :width], padded[:, :, 2:, 2:]
        moved = [(0.5, images), *((0.25, corner) for corner in corners)]
    for weight, view in moved:
        yield weight / 2, view
        yield weight / 2, view.flip(3)
