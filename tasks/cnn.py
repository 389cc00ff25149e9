"""Image classification."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from annotated_types import Ge, Lt
from torch import Tensor

from tasks.base import MakeModel, Task, Totals
from tasks.data.batches import Augment, InOrder, Shuffled
from tasks.data.image_set import ImageSet
from tasks.optim import Optimizer
from zoo.models.conv_layers import by_batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pixels = Annotated[int, Ge(0)]
Alpha = Annotated[float, Ge(0)]
AT_ONCE = 512  # images of an evaluation batch
SHOWN = 32  # images in a figure


class ImageClassification(Task):
    """Classification of images that lie on the device as bytes; batches are cut by index.

    With several processes each one takes every n-th image of a batch, so that a run does not depend
    on their number.

    Args:
        make_model: the model's class with its options.
        data: the images.
        optimizer: options of the optimiser.
        seed: of order and augmentation.
        crop: pixels of black at every side before a random window of the old size is cut.
        flip: mirror an image or not, with equal chances.
        cutout: side of a random square that is blanked.
        mixup: parameter of mixup's Beta distribution, 0 for none.
        cutmix: likewise of cutmix.
        label_smoothing: share of the target that all classes divide.

    Errors:
        ValueError: a crop or cutout as large as the images.
    """

    takes = ImageSet
    facts: ClassVar[dict[str, Any]] = {"channels": 3, "classes": 10}
    primary = ("accuracy", True)

    def __init__(
        self,
        make_model: MakeModel,
        data: ImageSet,
        optimizer: Optimizer,
        seed: int,
        crop: Pixels = 0,
        flip: bool = False,
        cutout: Pixels = 0,
        mixup: Alpha = 0.0,
        cutmix: Alpha = 0.0,
        label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ):
        super().__init__(make_model, data, optimizer, seed)
        self.batch_size: int = self.shuffled().size
        height, width = data.images.shape[2:]
        if max(crop, cutout) >= min(height, width):
            raise ValueError(
                f"crop={crop}, cutout={cutout} leave nothing of {height} x {width} pixels"
            )
        self.augment = Augment(crop, flip, cutout, mixup, cutmix)
        self.label_smoothing = label_smoothing

    def facts_of(self, data: ImageSet) -> dict[str, Any]:
        return {"channels": data.images.shape[1], "classes": len(data.classes)}

    def data_digest(self) -> str:
        return self.data.digest()

    def shuffled(self, number: int = 0) -> Shuffled:
        """The training batches from one on."""
        return Shuffled(self.data.train, self.data.batch_size, self.seed, number)

    def batches_per_pass(self, world: int) -> int:
        return self.shuffled().per_pass

    def setup(self, stage: str) -> None:
        """Brings the images to the device, once."""
        self.images = self.data.images.to(self.device)
        self.labels = self.data.labels.to(self.device)
        mean = torch.tensor(self.data.mean, device=self.device)[:, None, None]
        std = torch.tensor(self.data.std, device=self.device)[:, None, None]
        self.scale, self.shift = 1 / (255 * std), -mean / std

    def transfer_batch_to_device(self, batch: Any, device: torch.device, index: int) -> Any:
        return batch

    def loader(self, part: str) -> Iterable[Tensor]:
        return InOrder(getattr(self.data, part), AT_ONCE)

    def train_loader(self, world: int, rank: int, number: int = 0) -> Iterable[tuple[int, Tensor]]:
        self.world, self.rank = world, rank
        return self.shuffled(number)

    def normalised(self, images: Tensor) -> Tensor:
        """Bytes `[B, C, H, W]` as floats of mean 0 and standard deviation 1 by channel."""
        return images * self.scale + self.shift

    def inputs(self, number: int, examples: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
        """This process's images of a batch, their labels, their partners' labels, and the share."""
        height, width = self.images.shape[2:]
        draws = self.augment.draw(self.seed, number, len(examples), height, width)
        mine = torch.arange(self.rank, len(examples), self.world)

        def changed(which: Tensor) -> Tensor:
            images = self.augment.moved(self.images[examples[which]], draws, which)
            return self.augment.cut(self.normalised(images), draws, which)

        x, y = changed(mine), self.labels[examples[mine]]
        if draws.share == 1.0:
            return x, y, y, 1.0
        other = draws.partner[mine]
        if draws.box is None:
            x = torch.lerp(changed(other), x, draws.share)
        else:
            x[:, :, *draws.box] = changed(other)[:, :, *draws.box]
        return x, y, self.labels[examples[other]], draws.share

    def loss(self, batch: tuple[int, Tensor]) -> Tensor:
        number, examples = batch
        x, y, other, share = self.inputs(number, examples)
        logits = self.model(x).float()

        def entropy(target: Tensor) -> Tensor:
            return F.cross_entropy(
                logits, target, reduction="sum", label_smoothing=self.label_smoothing
            )

        loss = entropy(y) if share == 1.0 else share * entropy(y) + (1 - share) * entropy(other)
        return loss * (self.world / len(examples))

    def logits(self, examples: Tensor) -> Tensor:
        """`[B, classes]` of images as they are."""
        return self.model(self.normalised(self.images[examples])).float()

    def totals(self, batch: Tensor) -> Totals:
        logits, y = self.logits(batch), self.labels[batch]
        return {
            "loss": F.cross_entropy(logits, y, reduction="sum"),
            "accuracy": (logits.argmax(1) == y).sum(),
            "count": torch.tensor(len(batch), device=self.device),
        }

    def chance(self) -> dict[str, float]:
        """Of the class that is most frequent in the training part."""
        guess = self.data.labels[self.data.train].mode().values
        hits = self.data.labels[self.data.test] == guess
        return {"test/accuracy": hits.double().mean().item()}

    def curves(self) -> dict[str, list[float]]:
        """The root mean square of the stream on validation images, normed by their statistics."""
        with self.evaluating():
            x = self.normalised(self.images[self.data.val[:AT_ONCE]])
            model = by_batch(self.model)
            values = model.body.values(model.stem(x))
        return {"stream_rms": [value.square().mean().sqrt().item() for value in values]}

    def pictures(self, title: str) -> dict[str, Figure]:
        """A training batch, the confusion matrix, and the test images that are worst mistaken."""
        from tasks.pictures import confusion_figure, image_figure

        names, test = self.data.classes, self.data.test
        with self.evaluating():
            logits = torch.cat([self.logits(part) for part in self.loader("test")]).cpu()
        y, guess = self.data.labels[test], logits.argmax(1)
        wrong = torch.nonzero(guess != y)[:, 0]
        worst = wrong[F.cross_entropy(logits, y, reduction="none")[wrong].argsort(descending=True)]
        worst = worst[:SHOWN]
        figures = {"confusion": confusion_figure(y, guess, names, f"test images: {title}")}
        if len(worst):
            captions = [f"{names[y[i]]}, taken for {names[guess[i]]}" for i in worst.tolist()]
            heading = f"{len(wrong)} of {len(test)} test images mistaken, worst first: {title}"
            figures["mistakes"] = image_figure(self.data.images[test[worst]], captions, heading)
        self.world, self.rank = 1, 0
        x, labels, other, _ = self.inputs(0, self.shuffled().batch(0)[:SHOWN])
        pixels = ((x - self.shift) / self.scale).clamp(0, 255).byte().cpu()
        captions = [
            names[a] if a == b else f"{names[a]} + {names[b]}"
            for a, b in zip(labels.tolist(), other.tolist(), strict=True)
        ]
        figures["samples"] = image_figure(pixels, captions, f"a training batch: {title}")
        return figures
