"""Metrics of segmentation over a whole data set, from counts that are added up over batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.data.masks.dataset import UNLABELLED

OUTSIDE = 256  # beyond the image: unlike every class
DILATION = 0.02  # of the image's diagonal


def histogram(values: Tensor, size: int) -> Tensor:
    """How often each number below `size` occurs in each row, `[B, size]` long.

    `bincount` waits for the device, since the largest value decides its shape.

    Args:
        values: `[B, ...]` integers from 0; larger ones than `size` allows do not count.
        size: of the histogram.
    """
    rows = values.flatten(1).long().clamp(max=size)
    return rows.new_zeros(len(rows), size + 1).scatter_add_(1, rows, torch.ones_like(rows))[:, :-1]


def confusions(y: Tensor, guess: Tensor, size: int) -> Tensor:
    """How many pixels of each class (row) are taken for each (column), `[B, size, size]` long.

    Args:
        y: `[B, ...]` uint8, classes or `UNLABELLED`, which does not count.
        guess: the predicted classes, of the same shape.
        size: number of classes.
    """
    pairs = (y.long() * size + guess).where(y != UNLABELLED, size * size)
    return histogram(pairs, size * size).view(-1, size, size)


def overlaps(y: Tensor, guess: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The pixels of each class in both truth and guess, and in either, `[B, size]` long each.

    Args:
        y: `[B, H, W]` uint8, classes or `UNLABELLED`, which does not count.
        guess: `[B, H, W]`, the predicted classes.
        size: number of classes.
    """
    counts = confusions(y, guess, size)
    both = counts.diagonal(dim1=1, dim2=2)
    return both, counts.sum(1) + counts.sum(2) - both


def rim_width(height: int, width: int) -> int:
    """The width in pixels of the rims that boundary IoU compares."""
    return max(1, round(DILATION * (height**2 + width**2) ** 0.5))


def rims(labels: Tensor, width: int) -> Tensor:
    """Which pixels lie at most `width` pixels inside the contour of their class, `[B, H, W]` bool.

    The image's border is a contour too. Unlabelled pixels make none and belong to no rim.

    Args:
        labels: `[B, H, W]` uint8, classes or `UNLABELLED`.
        width: of the rims.
    """
    known = labels != UNLABELLED
    value = labels.to(torch.int16)
    highest = dilated(value.where(known, -1), width)
    lowest = -dilated((-value).where(known, -OUTSIDE), width, -OUTSIDE)
    return known & (highest != lowest)


def dilated(x: Tensor, width: int, outside: int = OUTSIDE) -> Tensor:
    """The maximum over a square around each pixel, `[B, H, W]`.

    Args:
        x: `[B, H, W]` integers.
        width: the square has sides of 2 width + 1 pixels.
        outside: the value beyond the image.
    """
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
    """How many pixels the rim of each class has, `[3, size]` long.

    The rows count pixels of the rims in both truth and prediction, in the truth, and in the
    prediction.

    Args:
        y: `[B, H, W]` uint8, classes or `UNLABELLED`, which does not count.
        guess: `[B, H, W]`, the predicted classes.
        size: number of classes.
    """
    width = rim_width(*y.shape[1:])
    guess = guess.to(torch.uint8).where(y != UNLABELLED, UNLABELLED)
    true, predicted = rims(y, width), rims(guess, width)
    counted = ((y, true & predicted & (y == guess)), (y, true), (guess, predicted))
    each = [histogram(classes.where(which, UNLABELLED), size).sum(0) for classes, which in counted]
    return torch.stack(each)


def overlap_metrics(counts: Tensor, rim: Tensor, names: Sequence[str]) -> dict[str, float]:
    """The metrics of a data set, without classes that neither truth nor prediction has.

    mean_iou: the mean over classes of TP / (TP + FP + FN)
    dice: the mean over classes of 2 TP / (2 TP + FP + FN)
    boundary_iou: the mean over classes of the IoU of the rims along their contours (Cheng et al.
        2021, arXiv:2103.16562, eq. 2), not to be taken for the IoU of a class called boundary
    accuracy: share of the pixels
    iou/NAME: TP / (TP + FP + FN) of one class

    Args:
        counts: `[K, K]`, sums of `confusions`.
        rim: `[3, K]`, sums of `rim_counts`.
        names: of the classes.
    """
    counts, rim = counts.double(), rim.double()
    both, size = counts.diagonal(), counts.sum(0) + counts.sum(1)
    occurs = size > 0
    iou = (both / (size - both))[occurs]
    shared, *each = rim[:, rim[1:].sum(0) > 0]
    metrics = {
        "mean_iou": iou.mean(),
        "dice": (2 * both / size)[occurs].mean(),
        "boundary_iou": (shared / (each[0] + each[1] - shared)).mean(),
        "accuracy": both.sum() / counts.sum(),
    }
    present = [name for name, seen in zip(names, occurs.tolist(), strict=True) if seen]
    metrics |= {f"iou/{name}": value for name, value in zip(present, iou, strict=True)}
    return {name: value.item() for name, value in metrics.items()}
