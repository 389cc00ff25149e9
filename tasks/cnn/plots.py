"""Figures of a net for images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from tasks.training.image_plots import confusion_figure, image_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tasks.cnn.task import ImageClassification

SHOWN = 32  # images in a figure


def figures(task: ImageClassification, title: str) -> dict[str, Figure]:
    """Draws a training batch, the confusion matrix and the worst mistakes on test images.

    Args:
        task: with its net, in `evaluating`.
        title: of the run.
    """
    names, test = task.data.classes, task.data.test
    y, guesses, losses = task.data.labels[test], [], []
    for examples in task.loader("test"):
        logits = task.logits(examples).cpu()
        guesses.append(logits.argmax(1))
        losses.append(F.cross_entropy(logits, task.data.labels[examples], reduction="none"))
    guess, loss = torch.cat(guesses), torch.cat(losses)
    wrong = torch.nonzero(guess != y)[:, 0]
    worst = wrong[loss[wrong].argsort(descending=True)][:SHOWN]
    figures = {"confusion": confusion_figure(y, guess, names, f"test images: {title}")}
    if len(worst):
        captions = [f"{names[y[i]]}\ntaken for {names[guess[i]]}" for i in worst.tolist()]
        heading = f"{len(wrong)} of {len(test)} test images mistaken, worst first: {title}"
        figures["mistakes"] = image_figure(task.data.images[test[worst]], captions, heading)
    x, labels, other, _ = task.inputs(0, task.shuffled().batch(0)[:SHOWN])
    captions = [
        names[a] if a == b else f"{names[a]} + {names[b]}"
        for a, b in zip(labels.tolist(), other.tolist(), strict=True)
    ]
    figures["samples"] = image_figure(task.pixels(x), captions, f"a training batch: {title}")
    return figures
