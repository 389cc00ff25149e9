"""Figures of image tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.probes.plots import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 8
GAP = 1  # white pixels between the images of a sheet
VISIBLE = 64  # pixels of a side that can be looked at
WIDEST = 8192  # pixels to which a sheet is enlarged, at most
NAMED = 30  # classes whose names still fit on an axis


def image_figure(images: Tensor, captions: Sequence[str], title: str) -> Figure:
    """Draws images `[N, C, H, W]` uint8 in rows, each with its caption of a line or more."""
    rows = -(-len(images) // COLUMNS)
    figure = new_figure(1.35 * COLUMNS, 1.5 * rows + 0.4)
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, caption in zip(axes.flat, images, captions, strict=False):
        pixels = image.movedim(0, -1).numpy()
        grey = pixels.shape[-1] == 1
        axis.imshow(pixels[..., 0] if grey else pixels, cmap="gray", vmin=0, vmax=255)
        axis.set_title("\n".join(plain(line, 22) for line in caption.split("\n")), fontsize=7)
    figure.suptitle(plain(title, 100), fontsize=9)
    return figure


def sheet(images: Tensor) -> Tensor:
    """Returns images `[N, C, H, W]` in rows on one white, nearly square image `[C, height, width]`.

    >>> sheet(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([1, 19, 28])
    """
    count, channels, height, width = images.shape
    columns = math.ceil(count**0.5)
    rows = -(-count // columns)
    down, across = height + GAP, width + GAP
    whole = images.new_full((channels, rows * down + GAP, columns * across + GAP), 255)
    for number, image in enumerate(images):
        top, left = (number // columns) * down + GAP, (number % columns) * across + GAP
        whole[:, top : top + height, left : left + width] = image
    return whole


def enlarged(images: Tensor) -> Tensor:
    """Returns small images `[N, C, H, W]` enlarged, each pixel as a square that can be seen.

    They become as large as `VISIBLE`, or as their sheet can be.

    >>> enlarged(torch.zeros(5, 1, 8, 10)).shape
    torch.Size([5, 1, 64, 80])
    """
    columns, side = math.ceil(len(images) ** 0.5), max(images.shape[2:])
    factor = min(-(-VISIBLE // min(images.shape[2:])), WIDEST // (columns * side))
    return images.repeat_interleave(max(1, factor), 2).repeat_interleave(max(1, factor), 3)


def sheet_figure(images: Tensor, title: str) -> Figure:
    """Draws images `[N, C, H, W]` uint8 side by side under one title."""
    pixels = sheet(images).movedim(0, -1).numpy()
    figure = new_figure(6, 6 * pixels.shape[0] / pixels.shape[1] + 0.4)
    axis = figure.subplots()
    axis.axis("off")
    grey = pixels.shape[-1] == 1
    axis.imshow(pixels[..., 0] if grey else pixels, cmap="gray", vmin=0, vmax=255)
    axis.set_title(plain(title, 100), fontsize=9)
    return figure


def confusion_figure(y: Tensor, guess: Tensor, names: Sequence[str], title: str) -> Figure:
    """Draws the share of each true class (row) that is taken for each class (column).

    Args:
        y: true classes `[N]` long.
        guess: predicted ones, likewise.
        names: of all classes.
        title: of the figure.
    """
    size = len(names)
    counts = torch.zeros(size, size).index_put_((y, guess), torch.ones(len(y)), accumulate=True)
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    side = 3.2 + 0.28 * min(size, NAMED)
    figure = new_figure(side + 0.8, side)
    axis = figure.subplots()
    shown = axis.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    if size <= NAMED:
        ticks = [plain(name, 24) for name in names]
        axis.set_xticks(range(size), ticks, rotation=90, fontsize=8)
        axis.set_yticks(range(size), ticks, fontsize=8)
        for row, column in counts.nonzero().tolist():
            dark = shares[row, column] > 0.5
            text = f"{int(counts[row, column])}"
            colour = "white" if dark else "black"
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    axis.set_xlabel("taken for")
    axis.set_ylabel("true class")
    axis.set_title(plain(title, 100), fontsize=9)
    figure.colorbar(shown, ax=axis, shrink=0.7, label="share of the true class")
    return figure
