"""Losses in two parts, of which the second one can be recorded as a CUDA graph."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from zoo.shard import WHOLE, Shard

Input = Tensor | float | int | None


class InTwoParts:
    """A loss in two parts: what the host does for a batch, and what the device does with it.

    A task that gives both, instead of `loss`, can be trained with `trainer.graphs=true`.
    """

    @abstractmethod
    def prepared(self, batch: Any, shard: Shard = WHOLE) -> tuple[Input, ...]:
        """Gives all that changes from batch to batch, each tensor on the device.

        Numbers and None may stand among the tensors; steps in which they differ are of two kinds,
        each recorded for itself.

        Args:
            batch: of `train_loader`.
            shard: which process of how many this is.
        """
        raise NotImplementedError

    @abstractmethod
    def loss_of(self, *prepared: Any) -> Tensor:
        """Computes the training loss `[]` of what `prepared` gives.

        It neither waits for the device nor brings anything to it, and it draws by generators of
        the device: PyTorch's own, or those of `generators`.
        """
        raise NotImplementedError

    def loss(self, batch: Any, shard: Shard = WHOLE) -> Tensor:
        """Computes the training loss `[]` of this process's share of a batch."""
        return self.loss_of(*self.prepared(batch, shard))
