"""A first convolution that whitens the patches of the training images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 2  # of a patch, in pixels
FLOOR = 5e-4  # is added to eigenvalues, so that noise is not blown up


class WhitenedConv(nn.Conv2d):
    r"""Frozen filters whose outputs are uncorrelated over 2x2 patches, each with its negative.

    With eigenvalues l and eigenvectors v of the second moment E[p p^T] of patches p, the filters
    are v / sqrt(l + 0.0005) and their negatives, the largest l first. Only the biases learn. Until
    `whiten` has seen images, the filters are the values of a patch and their negatives. It computes
    in the precision of its weights under autocast too: filters of small eigenvalues are
    differences of pixels that are nearly equal.

    Shapes: `[B, C, H, W]` to `[B, 8 C, H - 1, W - 1]`.

    Source: Jordan 2024, arXiv:2404.00498, section 3.2, after Page 2018.

    Args:
        channels: C of the images.
    """

    def __init__(self, channels: int):
        values = channels * SIZE**2
        super().__init__(channels, 2 * values, SIZE)
        self.weight.requires_grad_(False)
        self.take(torch.eye(values))

    def reset_parameters(self) -> None:
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def take(self, filters: Tensor) -> None:
        """Sets the filters, `[4 C, 4 C]`, and their negatives."""
        self.weight.detach().copy_(torch.cat([filters, -filters]).view_as(self.weight))

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Sets the filters by the patches of images `[N, C, H, W]`, as the net sees them."""
        moment, count = torch.zeros(len(self.weight) // 2, len(self.weight) // 2).double(), 0
        for some in images.split(256):
            patches = F.unfold(some.float(), SIZE).transpose(1, 2).flatten(0, 1).double()
            moment += patches.T @ patches
            count += len(patches)
        values, vectors = torch.linalg.eigh(moment / count)
        self.take((vectors / (values.clamp(min=0) + FLOOR).sqrt()).T.flip(0).float())

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))
