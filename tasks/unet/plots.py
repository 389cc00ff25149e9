"""Figures of segmentation: image, true mask, prediction and difference side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.data.masks.dataset import UNLABELLED
from tasks.data.masks.palette import palette
from zoo.probes.plots import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tasks.unet.task import Segmentation

SHOWN = 4  # images of each kind in a figure
SHORT = 12  # letters of a name of which six stand side by side
WRONG = torch.tensor([230, 30, 30], dtype=torch.uint8)
Picture = tuple[Tensor, str]  # `[H, W, 3]` uint8 and what stands above it


def in_colour(image: Tensor) -> Tensor:
    """The pixels `[H, W, 3]` of an image `[C, H, W]`, grey or in colour."""
    return image.expand(3, -1, -1).movedim(0, -1)


def painted(mask: Tensor, size: int) -> Tensor:
    """The pixels `[H, W, 3]` uint8 of a mask `[H, W]` of `size` classes, unlabelled ones white."""
    colours = torch.full((256, 3), 255, dtype=torch.uint8)
    colours[:size] = palette(size)
    return colours[mask.long()]


def difference(image: Tensor, mask: Tensor, guess: Tensor) -> Tensor:
    """The image in pale grey with mistaken pixels in red, `[H, W, 3]` uint8.

    Args:
        image: `[C, H, W]` uint8.
        mask: `[H, W]`, classes or `UNLABELLED`.
        guess: `[H, W]`, the predicted classes.
    """
    grey = (image.float().mean(0) * 0.5 + 110).to(torch.uint8)
    wrong = (mask != guess) & (mask != UNLABELLED)
    return torch.where(wrong[..., None], WRONG, grey[..., None])


def figures(task: Segmentation, title: str) -> dict[str, Figure]:
    """Draws the worst and typical test images with their predictions, and a training batch.

    Args:
        task: with its net, in `evaluating`.
        title: of the run.
    """
    x, masks = task.inputs(0, task.shuffled().batch(0)[:SHOWN])
    return {
        "answers": answers_figure(task, title),
        "samples": batch_figure(task.pixels(x), masks.cpu(), task.data.classes, title),
    }


def image_ious(task: Segmentation) -> Tensor:
    """The mean IoU `[N]` of each test image, over the classes of its mask and its prediction."""
    ious = []
    for examples in task.loader("test"):
        _, both, either = task.outcomes(examples).columns()
        ious.append((both / either).nanmean(1).nan_to_num(1.0))
    return torch.cat(ious)


def answers_figure(task: Segmentation, title: str) -> Figure:
    """The test images with the lowest IoU at the left, those around the median at the right.

    Of all others no prediction is kept.

    Args:
        task: with its net, in `evaluating`.
        title: of the run.
    """
    data, ious = task.data, image_ious(task)
    order, middle = ious.argsort(), max(0, min(len(ious) // 2 - SHOWN // 2, len(ious) - SHOWN))
    chosen = torch.cat([order[:SHOWN], order[middle : middle + SHOWN]])
    batches = task.eval_batches(data.test[chosen])
    guesses = torch.cat([task.logits(examples).argmax(1).cpu() for examples in batches])
    size, shown = len(data.classes), []
    for at, (number, guess) in enumerate(zip(chosen.tolist(), guesses, strict=True)):
        image, mask = (rows[data.test[number]] for rows in (data.images, data.masks))
        kind = "worst" if at < len(guesses) // 2 else "typical"
        shown.append(
            [
                (in_colour(image), f"{kind}: test image {number}"),
                (painted(mask, size), "truth"),
                (painted(guess, size), f"answer: IoU {ious[number]:.2f}"),
                (difference(image, mask, guess), "mistaken"),
            ]
        )
    half = len(shown) // 2
    rows = [worst + typical for worst, typical in zip(shown[:half], shown[half:], strict=True)]
    return mask_figure(rows, data.classes, f"test images: {title}")


def batch_figure(images: Tensor, masks: Tensor, names: Sequence[str], title: str) -> Figure:
    """A training batch as the model sees it, two pairs of image and mask in a row.

    Args:
        images: `[B, C, H, W]` uint8.
        masks: `[B, H, W]` uint8.
        names: of the classes.
        title: of the run.
    """
    shown: list[Picture] = []
    for image, mask in zip(images, masks, strict=True):
        shown += [(in_colour(image), "image"), (painted(mask, len(names)), "mask")]
    rows = [shown[i : i + 4] for i in range(0, len(shown), 4)]
    return mask_figure(rows, names, f"a training batch: {title}")


def mask_figure(rows: Sequence[Sequence[Picture]], names: Sequence[str], title: str) -> Figure:
    """Rows of captioned pictures of one size, with the colours of the classes below.

    They are drawn as one image: many axes would take seconds.
    """
    from matplotlib.patches import Patch

    height, width = rows[0][0][0].shape[:2]
    columns, side = max(map(len, rows)), 1.5 if width <= height else 1.9
    inch = width / side
    down, right = height + round(0.25 * inch), width + round(0.1 * inch)
    page = torch.full((down * len(rows), right * columns, 3), 255, dtype=torch.uint8)
    names = [plain(name, 24) for name in names]
    across = 6 if max(map(len, names)) <= SHORT else 3
    legend = 0.25 * (1 + len(names) // across)
    figure = new_figure(page.shape[1] / inch, page.shape[0] / inch + 0.4 + legend)
    axis = figure.subplots()
    axis.axis("off")
    for i, row in enumerate(rows):
        for j, (pixels, caption) in enumerate(row):
            top, left = (i + 1) * down - height, j * right
            page[top : top + height, left : left + width] = pixels
            axis.text(left + width / 2, top - 0.05 * inch, caption, ha="center", fontsize=7)
    axis.imshow(page.numpy(), interpolation="nearest")
    handles = [
        Patch(facecolor=(r, g, b), edgecolor="0.6", label=name)
        for name, (r, g, b) in zip(names, (palette(len(names)) / 255).tolist(), strict=True)
    ]
    form = {"ncols": across, "frameon": False, "fontsize": 7}
    figure.legend(handles=handles, loc="outside lower center", **form)
    figure.suptitle(plain(title, 70), fontsize=9)
    return figure
