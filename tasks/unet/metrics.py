"""Metrics of segmentation over a whole data set, from counts that are summed over batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.data.masks.dataset import UNLABELLED

OUTSIDE = 256  # beyond the image: unlike every class
DILATION = 0.02  # of the image's diagonal


def confusion(y: Tensor, guess: Tensor, size: int) -> Tensor:
    """The pixels of each true class (row) that are taken for each class, `[size, size]` long.

    Args:
        y: uint8, classes or `UNLABELLED`, which does not count; any shape.
        guess: classes, of the same shape.
    """
    pairs = y.long() * size + guess
    return torch.bincount(pairs[y != UNLABELLED], minlength=size * size).view(size, size)


def rim_width(height: int, width: int) -> int:
    """The width of the rims that boundary IoU compares, in pixels."""
    return max(1, round(DILATION * (height**2 + width**2) ** 0.5))


def rims(labels: Tensor, width: int) -> Tensor:
    """Which pixels of `[B, H, W]` are at most `width` pixels inside their class's contour.

    The image's border is a contour too. Unlabelled pixels make none and belong to no rim.
    """
    known = labels != UNLABELLED
    value = labels.to(torch.int16)
    highest = widened(value.where(known, -1), width)
    lowest = -widened((-value).where(known, -OUTSIDE), width, -OUTSIDE)
    return known & (highest != lowest)


def widened(x: Tensor, width: int, outside: int = OUTSIDE) -> Tensor:
    """The maximum over the square of 2 width + 1 pixels around each pixel of `[B, H, W]`."""
    x = F.pad(x, (width,) * 4, value=outside)
    for axis in (1, 2):
        reach = 1
        while reach < 2 * width + 1:
            step = min(reach, 2 * width + 1 - reach)
            rest = x.shape[axis] - step
            x = torch.maximum(x.narrow(axis, 0, rest), x.narrow(axis, step, rest))
            reach += step
    return x


def rim_counts(y: Tensor, guess: Tensor, size: int) -> Tensor:
    """The pixels of each class's rim in both, in the truth and in the answer, `[3, size]` long.

    Args:
        y: `[B, H, W]` uint8, classes or `UNLABELLED`, which does not count.
        guess: `[B, H, W]` classes.
    """
    width = rim_width(*y.shape[1:])
    guess = guess.to(torch.uint8).where(y != UNLABELLED, UNLABELLED)
    true, found = rims(y, width), rims(guess, width)
    parts = (y[true & found & (y == guess)], y[true], guess[found])
    return torch.stack([torch.bincount(part.int(), minlength=size) for part in parts])


def measures(counts: Tensor, rim: Tensor, names: Sequence[str]) -> dict[str, float]:
    """The metrics of a data set. Classes that neither truth nor answer has are left out.

    mean_iou: the mean over classes of TP / (TP + FP + FN)
    dice: the mean over classes of 2 TP / (2 TP + FP + FN)
    boundary_iou: the mean over classes of the IoU of the rims along their contours (Cheng et al.
        2021, arXiv:2103.16562, eq. 2), not to be taken for the IoU of a class called boundary
    accuracy: share of the pixels
    iou/NAME: TP / (TP + FP + FN) of one class

    Args:
        counts: of `confusion`.
        rim: of `rim_counts`.
        names: of the classes.
    """
    counts, rim = counts.double(), rim.double()
    both, size = counts.diagonal(), counts.sum(0) + counts.sum(1)
    there = size > 0
    iou = (both / (size - both))[there]
    shared, *each = rim[:, rim[1:].sum(0) > 0]
    found = {
        "mean_iou": iou.mean(),
        "dice": (2 * both / size)[there].mean(),
        "boundary_iou": (shared / (each[0] + each[1] - shared)).mean(),
        "accuracy": both.sum() / counts.sum(),
    }
    present = [name for name, seen in zip(names, there.tolist(), strict=True) if seen]
    found |= {f"iou/{name}": value for name, value in zip(present, iou, strict=True)}
    return {name: value.item() for name, value in found.items()}
