"""The colours of the classes in masks."""

from __future__ import annotations

import colorsys

import torch
from torch import Tensor

HUE_STEP = 0.618034  # of the circle of hues, so that neighbours differ


def palette(size: int) -> Tensor:
    """A colour for each class, `[size, 3]` uint8: black for the first, then hues far apart.

    >>> palette(2).tolist()
    [[0, 0, 0], [57, 147, 230]]
    """
    colours = [(0.0, 0.0, 0.0)]
    for number in range(1, size):
        hue = (0.58 + HUE_STEP * (number - 1)) % 1
        dark = (number - 1) // 5 % 2
        colours.append(colorsys.hsv_to_rgb(hue, 0.75 - 0.25 * dark, 0.9 - 0.25 * dark))
    return (torch.tensor(colours) * 255).round().to(torch.uint8)
