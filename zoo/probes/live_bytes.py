"""The memory of a computation, counted tensor by tensor, alike on every device."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that were made inside and are still alive.

    Attributes:
        bytes: alive now.
        peak: most that were alive at once.

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
        """Counts a storage until it dies."""
        size = storage.nbytes()
        self.known.add(storage)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self.remove, size)

    def remove(self, size: int) -> None:
        self.bytes -= size


def is_dense(x: Any) -> bool:
    """Whether x is a tensor with a storage of its own."""
    return isinstance(x, torch.Tensor) and x.layout == torch.strided


def peak_bytes(step: Callable[[], torch.Tensor]) -> int:
    """Most bytes alive at once while a loss is computed and sent backward."""
    with LiveBytes() as live:
        step().backward()
    return live.peak
