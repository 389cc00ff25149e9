"""The memory of a computation, counted tensor by tensor: the same on every device."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """A context that counts the bytes of tensors made in it that are still alive.

    Attributes:
        bytes: alive now.
        peak: most bytes that were alive at once.

    >>> with LiveBytes() as live:
    ...     _ = torch.zeros(8).exp().exp()
    >>> live.peak
    64
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.peak = 0
        self.known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        inputs = {id(x.untyped_storage()) for x in tree_leaves((args, kwargs)) if is_dense(x)}
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if is_dense(leaf):
                storage = leaf.untyped_storage()
                if id(storage) not in inputs and storage not in self.known:
                    self.add(storage)
        return out

    def add(self, storage: torch.UntypedStorage) -> None:
        """Counts a storage until it is freed."""
        size = storage.nbytes()
        self.known.add(storage)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self.remove, size)

    def remove(self, size: int) -> None:
        """Subtracts the bytes of a freed storage."""
        self.bytes -= size


def is_dense(x: Any) -> bool:
    """Whether x is a dense tensor, which has a storage."""
    return isinstance(x, torch.Tensor) and x.layout == torch.strided


def peak_bytes(step: Callable[[], torch.Tensor]) -> int:
    """Most bytes alive at once while a loss is computed, with its backward pass.

    Args:
        step: computes the loss, a scalar.
    """
    with LiveBytes() as live:
        step().backward()
    return live.peak
