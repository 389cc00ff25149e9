"""Answers that are one class each: what an evaluation sums, and the best guess."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.training.gathering import Totals


def class_sums(logits: Tensor, y: Tensor) -> Totals:
    """Sums loss, hits and count, `[]` each, over logits `[n, classes]` and their classes `[n]`."""
    return {
        "loss": F.cross_entropy(logits, y, reduction="sum"),
        "accuracy": (logits.argmax(1) == y).sum(),
        "count": torch.full((), len(y), device=y.device),
    }


def guess_metrics(labels: Tensor, parts: Mapping[str, Tensor]) -> dict[str, float]:
    """The accuracy of always answering the most frequent class of the training part.

    Args:
        labels: `[N]` of all examples.
        parts: numbers `[n]` of the examples of each part.
    """
    guess = labels[parts["train"]].mode().values
    hits = {part: labels[parts[part]] == guess for part in ("val", "test")}
    return {f"{part}/accuracy": of.double().mean().item() for part, of in hits.items()}
