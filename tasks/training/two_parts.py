"""Steps in two parts, of which the second one can be recorded as a CUDA graph."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from zoo.shard import WHOLE, Shard

Input = Tensor | float | int | None


class InTwoParts:
    """Training and evaluation in two parts: what the host does for a batch, what the device does.

    A task that gives both parts, instead of `loss`, can be trained with `trainer.graphs=true`; one
    that gives them instead of `eval_sums` as well is also validated with it.
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

    @abstractmethod
    def eval_prepared(self, batch: Any) -> tuple[Input, ...]:
        """Gives all that changes between batches of `loader`, as `prepared` does for training."""
        raise NotImplementedError

    @abstractmethod
    def sums_of(self, *prepared: Any) -> dict[str, Tensor]:
        """Computes what `Task.eval_sums` gives, of what `eval_prepared` gives.

        It neither waits for the device nor brings anything to it, and it draws nothing.
        """
        raise NotImplementedError

    def eval_sums(self, batch: Any) -> dict[str, Tensor]:
        """Sums loss, other metrics and count over the examples of a batch."""
        return self.sums_of(*self.eval_prepared(batch))
