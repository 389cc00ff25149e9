"""Random draws for the whole batch, of which each process takes its own rows.

So a run does not depend on the number of its processes: their random states stay equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shard:
    """The rows of a batch that this process computes: every `world`-th one from `rank` on.

    Args:
        rank: number of the process.
        world: number of processes.
        size: rows of the whole batch.

    >>> Shard(1, 2).of(5).rows
    range(1, 5, 2)
    """

    rank: int = 0
    world: int = 1
    size: int = 0

    def of(self, size: int) -> Shard:
        """This process's share of a batch of some size."""
        return Shard(self.rank, self.world, size)

    @property
    def rows(self) -> range:
        return range(self.rank, self.size, self.world)

    def index(self) -> Tensor:
        """The numbers of these rows, `[n]` long."""
        return torch.tensor(self.rows, dtype=torch.long)


WHOLE = Shard()  # one process computes all rows, however many they are
current = WHOLE


def set_shard(shard: Shard) -> None:
    """Sets the rows that this process computes from now on, also in the backward pass."""
    global current
    current = shard


def drawn(draw: Callable[[Sequence[int]], Tensor], shape: Sequence[int]) -> Tensor:
    """What `draw` gives for this process's rows of a batch.

    Args:
        draw: gives random numbers of a shape.
        shape: of this process's rows; the first axis is the batch.
    """
    if current.world == 1:
        return draw(shape)
    assert shape[0] == len(current.rows), f"{shape[0]} rows, {current}"
    return draw((current.size, *shape[1:]))[current.rank :: current.world]


class Sum(torch.autograd.Function):
    """The sum over processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        torch.distributed.all_reduce(total)
        return total


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes, differentiable; every process calls it."""
    summed: Tensor = Sum.apply(x)
    return summed


def of_first_process(value: str) -> str:
    """The text that the first process has, in all of them; every process calls it."""
    texts = [value]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(texts)
    return texts[0]
