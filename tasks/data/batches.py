"""Batches of example numbers: shuffled without end, or one pass in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tasks.data.file_rows import FileRows
from zoo.seeding import generator
from zoo.shard import WHOLE, Shard


class ShuffledBatches:
    """Batches without end, each one following from the seed and its own number alone.

    An epoch is one order of all examples, cut into whole batches; the rest is left out of it.
    Iteration gives the number of each batch and its examples, `[size]` long.

    Args:
        examples: `[n]` long, their numbers.
        size: of a batch; n where it is larger.
        seed: of the orders.
        number: of the first batch.
    """

    def __init__(self, examples: Tensor, size: int, seed: int, number: int = 0):
        self.examples = examples
        self.size = min(size, len(examples))
        self.seed = seed
        self.number = number
        self.order: tuple[int, Tensor] = (-1, examples)

    @property
    def per_pass(self) -> int:
        """Batches in one epoch."""
        return len(self.examples) // self.size

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        while True:
            self.number += 1
            yield self.number - 1, self.batch(self.number - 1)

    def batch(self, number: int) -> Tensor:
        """The examples of the batch of a number, `[size]` long."""
        epoch, index = divmod(number, self.per_pass)
        if self.order[0] != epoch:
            draws = generator(self.seed, "order", str(epoch))
            self.order = epoch, self.examples[torch.randperm(len(self.examples), generator=draws)]
        return self.order[1][index * self.size : (index + 1) * self.size]


class ReadAhead:
    """Shuffled batches; while one is used, the system reads the rows of the next from the disk.

    Args:
        batches: their numbers and examples.
        files: with a row for each example.
        shard: which rows of a batch are this process's.
    """

    def __init__(self, batches: ShuffledBatches, files: Sequence[FileRows], shard: Shard = WHOLE):
        self.batches, self.files, self.shard = batches, files, shard

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        for number, examples in self.batches:
            following = self.batches.batch(number + 1)[self.shard.rank :: self.shard.world]
            for rows in self.files:
                rows.ask(following)
            yield number, examples


class SequentialBatches:
    """One pass over examples in order, as batches `[B]` long.

    It is no list, which Lightning would take for several loaders.

    Args:
        examples: `[n]` long, their numbers.
        size: of a batch; the last one may be smaller.
    """

    def __init__(self, examples: Tensor, size: int):
        self.batches = examples.split(size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)
