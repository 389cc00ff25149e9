"""Tokens of several files as one row, none of which is read as a whole."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


class JoinedTokens:
    """Tokens of several files one after the other, read by positions that lie in one of them.

    It has what is asked of the tensor of a `Text`.

    Args:
        files: the tokens `[n]` of each, mapped into memory.

    >>> row = JoinedTokens([torch.tensor([3, 1]), torch.tensor([4, 1, 5])])
    >>> len(row), row[2:4].tolist(), row[torch.tensor([[3, 4]])].tolist()
    (5, [4, 1], [[1, 5]])
    """

    device = torch.device("cpu")

    def __init__(self, files: Sequence[Tensor]):
        self.files = files
        self.starts = [0, *itertools.accumulate(map(len, files))]
        self.dtype = files[0].dtype

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, where: Tensor | slice) -> Tensor:
        first = where.start if isinstance(where, slice) else int(where.min())
        number = bisect_right(self.starts, first) - 1
        start = self.starts[number]
        if isinstance(where, slice):
            return self.files[number][where.start - start : where.stop - start]
        return self.files[number][where - start]

    def split(self, size: int) -> Iterator[Tensor]:
        """The tokens in pieces of at most `size`."""
        return itertools.chain.from_iterable(file.split(size) for file in self.files)
