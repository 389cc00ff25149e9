"""The base class of tasks on images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor

from tasks.data.batches import ReadAhead, SequentialBatches, ShuffledBatches
from tasks.data.file_rows import Bytes, FileRows, taken
from tasks.data.image_dataset import ImageDataset
from tasks.training.module import MakeModel, Task
from tasks.training.optim import Optimizer
from tasks.training.two_parts import Input, InTwoParts


class ImageTask(InTwoParts, Task):
    """Images lie on the device as bytes, or in a file, and batches of them are cut by index.

    With several processes each one takes every n-th image of a batch, so that a run does not depend
    on their number.

    Attributes:
        at_once: images and pixels of an evaluation batch, at most.
    """

    at_once: ClassVar[tuple[int, int]] = (512, 2**19)
    example_model_args: ClassVar[dict[str, Any]] = {"channels": 3, "classes": 10}

    def __init__(self, make_model: MakeModel, data: ImageDataset, optimizer: Optimizer, seed: int):
        super().__init__(make_model, data, optimizer, seed)
        self.images: Bytes = data.images
        self.targets: Bytes = data.targets
        self.batch_size: int = self.shuffled().size

    def model_args(self, data: ImageDataset) -> dict[str, Any]:
        return {"channels": data.images.shape[1], "classes": len(data.classes)}

    def shuffled(self, number: int = 0) -> ShuffledBatches:
        """Gives the training batches from a number on: it, and its examples `[B]` long."""
        return ShuffledBatches(self.data.train, self.data.batch_size, self.seed, number)

    def batches_per_pass(self) -> int:
        return self.shuffled().per_pass

    def setup(self, stage: str) -> None:
        """Brings images `[N, C, H, W]` uint8 and their targets to the device, once.

        What lies in a file stays there, unless the device has memory of its own for it.
        """
        self.images, self.targets = self.data.rows_on(self.device)
        mean = torch.tensor(self.data.mean, device=self.device)[:, None, None]
        self.std = torch.tensor(self.data.std, device=self.device)[:, None, None]
        self.scale, self.shift = 1 / (255 * self.std), -mean / self.std

    def sent(self, x: Tensor) -> Tensor:
        """Returns a tensor on the device; no copy waits for what the device has yet to do."""
        return x.to(self.device, non_blocking=True)

    def taken(self, rows: Bytes, examples: Tensor) -> Tensor:
        """Returns the rows, of `images` or `targets`, of examples `[B]` long, on the device."""
        return taken(rows, examples, self.device)

    def normalised(self, images: Tensor) -> Tensor:
        """Turns bytes `[B, C, H, W]` into floats of mean 0 and standard deviation 1 by channel."""
        return images * self.scale + self.shift

    def pixels(self, normalised: Tensor) -> Tensor:
        """Turns floats `[B, C, H, W]` back into bytes, on the CPU."""
        return ((normalised - self.shift) / self.scale).clamp(0, 255).byte().cpu()

    def loader(self, part: str) -> Iterable[Any]:
        """Gives the numbers of a part's examples, `[B]` long in each batch."""
        return self.eval_batches(self.data.parts[part])

    def eval_batches(self, examples: Tensor) -> SequentialBatches:
        """Cuts examples `[n]` long into batches `[B]` for evaluation."""
        most, pixels = self.at_once
        height, width = self.data.images.shape[2:]
        return SequentialBatches(examples, max(1, min(most, pixels // (height * width))))

    def eval_prepared(self, batch: Any) -> tuple[Input, ...]:
        """Gives images `[B, C, H, W]` uint8 and targets `[B, ...]` of examples `[B]` long."""
        return self.taken(self.images, batch), self.taken(self.targets, batch)

    def train_loader(self, number: int = 0) -> Iterable[tuple[int, Tensor]]:
        """Returns pairs of a batch's number and its examples `[B]` long."""
        files = [rows for rows in (self.images, self.targets) if isinstance(rows, FileRows)]
        batches = self.shuffled(number)
        return ReadAhead(batches, files, self.shard) if files else batches
