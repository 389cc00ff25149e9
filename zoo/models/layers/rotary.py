"""Rotary positions: queries and keys turned by angles that grow with the position."""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0  # of the wavelengths


def rotation(context: int, width: int) -> Tensor:
    """Cosines and sines `[context, 2, width / 2]` of the angles by which channels are turned.

    Source: Su et al. 2021, arXiv:2104.09864, eq. 15.

    Args:
        context: number of positions.
        width: of a head.
    """
    speeds = BASE ** -(torch.arange(0, width, 2).double() / width)
    angles = torch.arange(context).double()[:, None] * speeds
    return torch.stack((angles.cos(), angles.sin()), 1).float()


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turns channel i of `[..., T, D]` with channel i + D / 2 by the angles of the positions.

    Args:
        x: queries or keys `[..., T, D]`.
        rotary: cosines and sines `[T, 2, D / 2]` of these positions.
    """
    cos, sin = rotary.to(x.dtype).unbind(1)
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
