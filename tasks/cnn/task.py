"""Image classification."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
import torch.nn.functional as F
from annotated_types import Ge, Lt
from torch import Tensor

from tasks.cnn.views import Views, averaged_logits
from tasks.data.images.augment import AlternatingFlips, Augment, Edge, Flip
from tasks.data.images.dataset import ImageSet
from tasks.training.classification import class_sums, guess_metrics
from tasks.training.image_module import ImageTask
from tasks.training.module import MakeModel, Totals
from tasks.training.optim import Optimizer
from tasks.training.outcomes import Outcomes
from tasks.training.two_parts import Input
from zoo.config.sizes import Pixels
from zoo.models.layers.conv import by_batch
from zoo.models.layers.whitened import WhitenedConv
from zoo.probes.profiles import class_separation
from zoo.shard import WHOLE, Shard, set_shard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Alpha = Annotated[float, Ge(0)]
WHITENED = 5000  # training images, spread over all, whose patches a whitened stem is for


class ImageClassification(ImageTask):
    """Classification of images.

    Args:
        make_model: the model's class with its options.
        data: the images.
        optimizer: options of the optimiser.
        seed: of order and augmentation.
        crop: pixels added at every side before a random window of the old size is cut out.
        edge: what crop adds: `black` pixels, or the image mirrored at its edges (`reflect`).
        flip: whether images are flipped left to right, each with a chance of one half;
            `alternating`: that chance in the first pass, then in every other one.
        cutout: side of a random square that is blanked.
        mixup: parameter of mixup's Beta distribution, 0 for none.
        cutmix: likewise of cutmix.
        label_smoothing: share of the target that all classes divide.
        views: of an image over which evaluation averages the logits (test-time augmentation):
            `mirror`, or `translate`, which moves it by a pixel too. None: the image alone.

    Errors:
        ValueError: a crop or cutout as large as the images; an edge without a crop.
    """

    data_type = ImageSet
    primary = ("accuracy", True)
    asks = ("stem", "body")
    trained = "tasks.cnn.trained.TrainedLabels"
    verbs: ClassVar[dict[str, str]] = {"predict": "tasks.cnn.predict.PredictLabels"}

    def __init__(
        self,
        make_model: MakeModel,
        data: ImageSet,
        optimizer: Optimizer,
        seed: int,
        crop: Pixels = 0,
        edge: Edge = "black",
        flip: Flip = False,
        cutout: Pixels = 0,
        mixup: Alpha = 0.0,
        cutmix: Alpha = 0.0,
        label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
        views: Views | None = None,
    ):
        super().__init__(make_model, data, optimizer, seed)
        height, width = data.images.shape[2:]
        if max(crop, cutout) >= min(height, width):
            raise ValueError(
                f"crop={crop}, cutout={cutout} leave nothing of {height} x {width} pixels"
            )
        if edge == "reflect" and not crop:
            raise ValueError("edge=reflect is of crop, which adds nothing at 0")
        self.augment = Augment(crop, flip, cutout, mixup, cutmix, edge)
        self.flips = AlternatingFlips(seed, len(data.images)) if flip == "alternating" else None
        self.label_smoothing, self.views = label_smoothing, views
        for module in self.model.modules():
            if isinstance(module, WhitenedConv):
                self.setup("fit")
                spread = torch.linspace(0, len(data.train) - 1, WHITENED).long().unique()
                module.whiten(self.normalised(self.taken(self.images, data.train[spread])))

    def inputs(
        self, number: int, examples: Tensor, shard: Shard = WHOLE
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        """Gives this process's images of a training batch as the model sees them, and their labels.

        Args:
            number: of the batch.
            examples: `[B]` long, numbers of its images.
            shard: which of them, n, are this process's.

        Returns:
            Images `[n, C, H, W]`, their labels `[n]`, the labels `[n]` of the images that are
            mixed into them, and the share of the image itself in the mixture.
        """
        mine = shard.of(len(examples)).index()
        height, width = self.images.shape[2:]
        draws = self.augment.draw(self.seed, number, len(examples), height, width)
        if self.flips:
            draws.flipped = self.flips.flipped(examples, number // self.batches_per_pass())

        def changed(which: Tensor) -> Tensor:
            images = self.taken(self.images, examples[which])
            images = self.augment.crop_and_flip(images, draws, which)
            return self.augment.blank_square(self.normalised(images), draws, which)

        x, y = changed(mine), self.targets[self.sent(examples[mine])]
        if draws.share == 1.0:
            return x, y, y, 1.0
        other = draws.partner[mine]
        if draws.box is None:
            x = torch.lerp(changed(other), x, draws.share)
        else:
            x[:, :, *draws.box] = changed(other)[:, :, *draws.box]
        return x, y, self.targets[self.sent(examples[other])], draws.share

    def prepared(self, batch: tuple[int, Tensor], shard: Shard = WHOLE) -> tuple[Input, ...]:
        """Gives this process's images of a batch, their labels and the weight of their losses.

        Beside these, where images are mixed, the labels `[n]` of those that are mixed into them,
        and the shares `[2]` of both.

        Args:
            batch: its number and its examples, `[B]` long.
            shard: which of them are this process's.
        """
        number, examples = batch
        set_shard(shard.of(len(examples)))
        x, y, other, share = self.inputs(number, examples, shard)
        weight = shard.world / len(examples)
        if share == 1.0:
            return x, y, weight
        return x, y, weight, other, self.sent(torch.tensor([share, 1 - share]))

    def loss_of(
        self,
        x: Tensor,
        y: Tensor,
        weight: float,
        other: Tensor | None = None,
        shares: Tensor | None = None,
    ) -> Tensor:
        """Computes the weighted cross-entropy `[]` of what `prepared` gives."""
        logits = self.model(x).float()

        def entropy(target: Tensor) -> Tensor:
            return F.cross_entropy(
                logits, target, reduction="sum", label_smoothing=self.label_smoothing
            )

        if other is None or shares is None:
            return entropy(y) * weight
        return (shares[0] * entropy(y) + shares[1] * entropy(other)) * weight

    def logits(self, examples: Tensor) -> Tensor:
        """Computes logits `[B, classes]` of examples `[B]` long."""
        return self.answer(self.taken(self.images, examples))

    def answer(self, images: Tensor) -> Tensor:
        """Computes logits `[B, classes]` of images `[B, C, H, W]` uint8, a mean of their views."""
        return averaged_logits(self.model, self.normalised(images), self.views)

    def outcomes(self, batch: Tensor) -> Outcomes:
        """Gives examples, `[B]` long, and whether each is classified right, `[B]` bool."""
        return Outcomes(batch, self.logits(batch).argmax(1) == self.targets[self.sent(batch)])

    def sums_of(self, images: Tensor, y: Tensor) -> Totals:
        """Sums loss, hits and count, `[]` each, over images and their labels."""
        return class_sums(self.answer(images), y)

    def chance_metrics(self) -> dict[str, float]:
        """Gives the accuracy of always answering the most frequent class of the training part."""
        return guess_metrics(self.data.labels, self.data.parts)

    def depth_profiles(self) -> dict[str, list[float]]:
        """Gives the root mean square of the stream on a validation batch, normed by the batch."""
        x = self.normalised(self.taken(self.images, next(iter(self.eval_batches(self.data.val)))))
        model = by_batch(self.model)
        values = model.body.values(model.stem(x))
        return {"stream_rms": [value.square().mean().sqrt().item() for value in values]}

    def collapse_measure(self, batch: tuple[int, Tensor]) -> tuple[str, Callable[[Tensor], Tensor]]:
        """Gives the class separation of images, each the mean of its positions `[B, C, H, W]`."""
        labels = self.targets[batch[1]]
        return "class_separation", lambda value: class_separation(value.mean((2, 3)), labels)

    def figures(self, title: str) -> dict[str, Figure]:
        """Draws a training batch, the confusion matrix and the worst mistakes on test images."""
        from tasks.cnn.plots import figures

        return figures(self, title)
