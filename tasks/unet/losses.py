"""Losses of segmentation, as ratios of sums over a batch, so that several processes equal one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.data.masks.dataset import UNLABELLED, MaskSet
from tasks.unet.metrics import histogram
from zoo.errors import ConfigError
from zoo.shard import sum_over_processes

LossKind = Literal["cross_entropy", "dice", "focal"]
Balance = Literal["balanced", "damped"]
Sums = dict[str, Tensor]


class SegmentationLoss:
    r"""A weighted sum of losses over the labelled pixels of a batch.

    With p the probability of a pixel's own class and w the weight of that class:

    cross_entropy: sum w (-log p) / sum w
    focal: sum w (1 - p)^gamma (-log p) / sum w (Lin et al. 2017, arXiv:1708.02002, eq. 5)
    dice: 1 - the mean of 2 sum(q g) / (sum q + sum g), weighted by w, over the classes that the
        batch has; q is the probability of a class and g whether it is the true one (Milletari et
        al. 2016, arXiv:1606.04797, section 3, without the squares)

    Args:
        kinds: the loss, or several.
        weights: of each loss; None: 1 each.
        classes: w, the weights of the classes, `[K]`.
        gamma: of the focal loss.

    Errors:
        ValueError: kinds and weights differ in number.
    """

    def __init__(
        self,
        kinds: LossKind | Sequence[LossKind],
        weights: Sequence[float] | None,
        classes: Tensor,
        gamma: float,
    ):
        self.kinds: list[LossKind] = [kinds] if isinstance(kinds, str) else list(kinds)
        self.weights = [1.0] * len(self.kinds) if weights is None else list(weights)
        if len(self.kinds) != len(self.weights):
            raise ValueError(f"{len(self.kinds)} losses have {len(self.weights)} loss_weights")
        self.classes = classes
        self.gamma = gamma

    def sums(self, logits: Tensor, y: Tensor) -> Sums:
        """The sums over a batch that the losses are ratios of.

        Args:
            logits: `[B, K, H, W]`.
            y: `[B, H, W]` uint8, classes or `UNLABELLED`.

        Returns:
            `[K]` for the pixels of each class (`true`) and, for dice, the probabilities of each
            class at all pixels (`guessed`) and at its own (`shared`); `[]` for the other losses.
        """
        target, size = y.long(), logits.shape[1]
        self.classes = self.classes.to(y.device, non_blocking=True)
        true = histogram(y, size).sum(0).float()
        log = F.log_softmax(logits.float(), 1)
        sums = {"true": true}
        if "cross_entropy" in self.kinds:
            sums["cross_entropy"] = F.nll_loss(
                log, target, self.classes, ignore_index=UNLABELLED, reduction="sum"
            )
        if "focal" in self.kinds:
            each = F.nll_loss(log, target, ignore_index=UNLABELLED, reduction="none")
            weight = F.pad(self.classes, (0, 256 - size))[target]
            wrong = (1 - torch.exp(-each)).clamp(min=1e-6)  # zero has no gradient below gamma = 1
            sums["focal"] = (weight * wrong**self.gamma * each).sum()
        if "dice" in self.kinds:
            known = target != UNLABELLED
            q = log.exp() * known[:, None]
            of_true = q.gather(1, target.where(known, 0)[:, None])[:, 0]
            sums["guessed"] = q.sum((0, 2, 3))
            sums["shared"] = torch.zeros_like(true).index_add_(
                0, target.where(known, 0).flatten(), of_true.flatten()
            )
        return sums

    def value(self, sums: Sums) -> Tensor:
        """The loss `[]` from the `sums` of one or many batches."""
        true, classes = sums["true"], self.classes.to(sums["true"])
        total = torch.zeros_like(true[0])
        for kind, weight in zip(self.kinds, self.weights, strict=True):
            if kind == "dice":
                both = (sums["guessed"] + true).clamp(min=1e-12)
                counts = classes * (true > 0)
                lost = counts @ (1 - 2 * sums["shared"] / both)
            else:
                counts, lost = classes * true, sums[kind]
            total = total + weight * lost / counts.sum().clamp(min=1e-12)
        return total


def over_processes(sums: Sums) -> Sums:
    """The `sums` of one process added up over all processes, with their gradients."""
    flat = sum_over_processes(torch.cat([value.flatten() for value in sums.values()]))
    chunks = flat.split([value.numel() for value in sums.values()])
    return {k: chunk.view_as(v) for (k, v), chunk in zip(sums.items(), chunks, strict=True)}


def weights_of(data: MaskSet, option: list[float] | Balance | None) -> Tensor:
    """The weight of each class in the losses, `[K]`.

    Args:
        data: with K classes.
        option: the weights, or how they follow from the share of each class; None: 1 each.

    Errors:
        ConfigError: the weights do not fit the classes.
    """
    size = len(data.classes)
    if option is None:
        return torch.ones(size)
    if isinstance(option, str):
        shares = data.counts(data.train).double()
        shares /= shares.sum()
        weights = (shares ** {"balanced": -1, "damped": -0.5}[option]).where(shares > 0, 0)
        return (weights / (shares @ weights)).float()
    if len(option) != size or not any(option):
        what = f"class_weights={option} with {size} classes: {', '.join(data.classes)}"
        raise ConfigError(what, "task.class_weights", f"give {size} numbers, not all of them 0")
    return torch.tensor(option)
