"""Segmentation: a class for every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Gt, Len, Lt
from torch import Tensor

from tasks.data.masks.dataset import MaskSet
from tasks.training.image_module import ImageTask
from tasks.training.module import MakeModel, Totals
from tasks.training.optim import Optimizer
from tasks.training.outcomes import Outcomes
from tasks.training.two_parts import Input
from tasks.unet.augment import AugmentMasks
from tasks.unet.losses import Balance, LossKind, SegmentationLoss, over_processes, weights_of
from tasks.unet.metrics import confusions, overlap_metrics, overlaps, rim_counts
from zoo.config.sizes import Pixels
from zoo.errors import ConfigError
from zoo.models.layers.conv import refuse_single_values
from zoo.shard import WHOLE, Shard, set_shard
from zoo.stack import Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Factor = Annotated[float, Ge(0)]
GAMMA = 2.0  # of Lin et al. 2017, arXiv:1708.02002
AT_ONCE = 2**18  # pixels of an evaluation batch, about


class Segmentation(ImageTask):
    """Segmentation of images.

    A loss can be a ratio of sums; with several processes the sums go over all of them.

    Args:
        make_model: the model's class with its options.
        data: the images and masks.
        optimizer: options of the optimiser.
        seed: of order and augmentation.
        loss: the loss, or several: their sum.
        loss_weights: of each loss; None: 1.
        class_weights: of each class in the losses; `balanced`: the inverse of its share of the
            training part's pixels, `damped`: the root of that; both with a mean of 1 over the
            pixels; None: 1.
        gamma: of the focal loss.
        flip: whether images are flipped left to right, each with a chance of one half.
        flip_vertical: likewise, top to bottom.
        rotate: whether they are rotated, by 0, 90, 180 or 270 degrees; windows must be square.
        crop: side of a random square window; 0: the whole image.
        scale: zoom by a random factor from 1 / scale to scale.
        brightness: largest number that is added to all values, which lie between 0 and 1.
        contrast: largest relative change of the difference to an image's mean.

    Errors:
        ValueError: a gamma without the focal loss.
    """

    data_type = MaskSet
    at_once = (AT_ONCE, AT_ONCE)
    primary = ("mean_iou", True)
    asks = ("depth",)
    trained = "tasks.unet.trained.TrainedMasks"
    verbs: ClassVar[dict[str, str]] = {"predict": "tasks.unet.predict.PredictMasks"}

    def __init__(
        self,
        make_model: MakeModel,
        data: MaskSet,
        optimizer: Optimizer,
        seed: int,
        loss: LossKind | Annotated[list[LossKind], Len(1)] = "cross_entropy",
        loss_weights: list[Annotated[float, Gt(0)]] | None = None,
        class_weights: list[Factor] | Balance | None = None,
        gamma: Factor = GAMMA,
        flip: bool = True,
        flip_vertical: bool = False,
        rotate: bool = False,
        crop: Pixels = 0,
        scale: Annotated[float, Ge(1)] = 1.0,
        brightness: Annotated[float, Ge(0), Lt(1)] = 0.0,
        contrast: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ):
        super().__init__(make_model, data, optimizer, seed)
        if gamma != GAMMA and "focal" not in (loss if isinstance(loss, list) else [loss]):
            raise ValueError(f"gamma={gamma:g} is an option of loss=focal")
        self.augment = AugmentMasks(flip, flip_vertical, rotate, crop, scale, brightness, contrast)
        height, width = self.augment.window(*data.masks.shape[1:])
        if rotate and height != width:
            what = f"windows of {height}x{width} cannot be turned by quarters"
            raise ConfigError(what, "task.rotate", "give task.crop=PIXELS or task.rotate=false")
        deepest = -(-height // 2**self.model.depth) * -(-width // 2**self.model.depth)
        refuse_single_values(self.model, deepest * self.batch_size)
        weights = weights_of(data, class_weights)
        self.criterion = SegmentationLoss(loss, loss_weights, weights, gamma)

    def inputs(self, number: int, examples: Tensor, shard: Shard = WHOLE) -> tuple[Tensor, Tensor]:
        """Gives this process's images of a training batch as the model sees them, and their masks.

        Args:
            number: of the batch.
            examples: `[B]` long, numbers of its images.
            shard: which of them, n, are this process's.

        Returns:
            Images `[n, C, h, w]` and masks `[n, h, w]`, windows of the size that `crop` says.
        """
        which = shard.of(len(examples)).index()
        draws = self.augment.draw(self.seed, number, len(examples), *self.targets.shape[1:])
        mine = examples[which]
        images, masks = self.taken(self.images, mine), self.taken(self.targets, mine)
        x, y = self.augment.geometric(self.normalised(images), masks, draws, which)
        return self.augment.colour_jitter(x, self.std, draws, which), y

    def prepared(self, batch: tuple[int, Tensor], shard: Shard = WHOLE) -> tuple[Input, ...]:
        """Gives this process's images of a batch, their masks and the number of processes.

        Args:
            batch: its number and its examples, `[B]` long.
            shard: which of them are this process's.
        """
        number, examples = batch
        set_shard(shard.of(len(examples)))
        return *self.inputs(number, examples, shard), shard.world

    def loss_of(self, x: Tensor, y: Tensor, processes: int) -> Tensor:
        """Computes the loss `[]` of what `prepared` gives."""
        sums = self.criterion.sums(self.model(x), y)
        return self.criterion.value(over_processes(sums) if processes > 1 else sums)

    def logits(self, examples: Tensor) -> Tensor:
        """Computes logits `[B, classes, H, W]` of examples `[B]` long, their images as they are."""
        return self.model(self.normalised(self.taken(self.images, examples)))

    def outcomes(self, batch: Tensor) -> Outcomes:
        """Gives examples, `[B]` long, with the pixels whose sums make mean IoU."""
        logits = self.logits(batch)
        counts = overlaps(self.taken(self.targets, batch), logits.argmax(1), logits.shape[1])
        return Outcomes(batch, *counts)

    def sums_of(self, images: Tensor, y: Tensor) -> Totals:
        """Sums what the loss needs and counts pixels, over images and their masks.

        Counts are `confusion` `[classes, classes]`, truth by guess, and `rims` `[3, classes]`.
        """
        logits = self.model(self.normalised(images))
        guess, size = logits.argmax(1), logits.shape[1]
        sums = self.criterion.sums(logits, y)
        return {
            **{name: value.double() for name, value in sums.items()},
            "confusion": confusions(y, guess, size).sum(0),
            "rims": rim_counts(y, guess, size),
        }

    def metrics_from_sums(self, totals: Totals) -> dict[str, float]:
        """Turns the totals of `eval_sums` into the loss and metrics of overlap."""
        counts, rims = totals.pop("confusion"), totals.pop("rims")
        loss = self.criterion.value(totals).item()
        return {"loss": loss, **overlap_metrics(counts, rims, self.data.classes)}

    def chance_metrics(self) -> dict[str, float]:
        """Gives the metrics of always answering the most frequent class of the training part."""
        data: MaskSet = self.data
        guess = int(data.counts(data.train).argmax())
        chance: dict[str, float] = {}
        for part in ("val", "test"):
            counts = torch.zeros(len(data.classes), len(data.classes))
            counts[:, guess] = data.counts(data.parts[part])
            metrics = overlap_metrics(counts, torch.ones(3, len(data.classes)), data.classes)
            chance |= {f"{part}/{name}": metrics[name] for name in ("mean_iou", "accuracy")}
        return chance

    def depth_profiles(self) -> dict[str, list[float]]:
        """Gives the root mean square of the stream on validation images, through all levels."""
        values: list[Tensor] = []

        def note(stack: Any, inputs: tuple[Tensor], output: Tensor) -> None:
            values.extend(stack.values(*inputs)[bool(values) :])

        stacks = [module for module in self.model.modules() if isinstance(module, Stack)]
        hooks = [stack.register_forward_hook(note) for stack in stacks]
        self.logits(next(iter(self.eval_batches(self.data.val))))
        for hook in hooks:
            hook.remove()
        return {"stream_rms": [value.square().mean().sqrt().item() for value in values]}

    def figures(self, title: str) -> dict[str, Figure]:
        """Draws the worst and typical test images with their predictions, and a training batch."""
        from tasks.unet.plots import figures

        return figures(self, title)
