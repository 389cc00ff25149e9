"""Rows of bytes that stay in a file, indexed as a tensor is, and read when they are asked for."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.data.phrases import shown
from zoo.errors import DataError

Index = Tensor | slice | int
PIECE = 2**24  # bytes that are read at once where all are read


class FileRows:
    """Rows of bytes that stay in a file, indexed as a tensor `[N, ...]` uint8 by its first axis.

    What an index gives is an ordinary tensor; no more than that lies in memory, beside 8 bytes for
    each row.

    Args:
        path: the file, which does not change.
        shape: of all rows, `[N, ...]`.
        start: the byte with which the first row begins.
        stride: bytes from one row to the next; None: rows follow each other.
        table: `[256]` uint8, what stands for each byte; None: the byte itself.
    """

    dtype = torch.uint8

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        start: int = 0,
        stride: int | None = None,
        table: Tensor | None = None,
    ):
        self.path, self.shape, self.start = path, torch.Size(shape), start
        self.size = prod(shape[1:])
        self.stride, self.table = stride or self.size, table

    @cached_property
    def file(self) -> int:
        """The descriptor of the file, which is closed with the rows."""
        file = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, file)
        return file

    def __deepcopy__(self, memo: dict[int, Any]) -> FileRows:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return FileRows, (self.path, tuple(self.shape), self.start, self.stride, self.table)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def numel(self) -> int:
        """The number of bytes of all rows."""
        return self.shape.numel()

    @cached_property
    def numbers(self) -> Tensor:
        """The number of each row, `[N]` long, of which an index takes what it would of the rows."""
        return torch.arange(len(self))

    def __getitem__(self, which: Index) -> Tensor:
        """Reads rows: `[n, ...]` of numbers `[n]` long, of a slice or of a mask, `[...]` of one.

        Errors:
            IndexError: there is no such row.
            DataError: the file is shorter than its rows.
        """
        numbers = self.numbers[which]
        content = np.empty((numbers.numel(), self.size), np.uint8)
        for row, number in zip(content, numbers.flatten().tolist(), strict=True):
            if os.preadv(self.file, [row.data], self.start + number * self.stride) != self.size:
                raise DataError("the file has been cut", shown(self.path), "remove it, run again")
        rows = torch.from_numpy(content)
        rows = rows if self.table is None else self.table[rows.int()]
        return rows.view(*numbers.shape, *self.shape[1:])

    def ask(self, which: Index) -> None:
        """Asks the system to read rows from the disk, and does not wait for them."""
        if hasattr(os, "posix_fadvise"):
            for number in self.numbers[which].flatten().tolist():
                start = self.start + number * self.stride
                os.posix_fadvise(self.file, start, self.size, os.POSIX_FADV_WILLNEED)

    def to(self, device: torch.device) -> Tensor:
        """All rows, on a device."""
        rows = torch.empty(self.shape, dtype=self.dtype, device=device)
        for some, place in zip(pieces(self), rows.split(at_once(self)), strict=True):
            place.copy_(some)
        return rows


Bytes = Tensor | FileRows  # `[N, ...]`, a row for each example


def pieces(rows: Bytes) -> Iterator[Tensor]:
    """Gives all rows, a part of them at a time, in order."""
    count = at_once(rows)
    return (rows[first : first + count] for first in range(0, len(rows), count))


def at_once(rows: Bytes) -> int:
    """How many rows are read at once where all are: at least one."""
    return max(1, PIECE // max(1, rows.shape[1:].numel()))


def taken(rows: Bytes, examples: Tensor, device: torch.device) -> Tensor:
    """The rows of examples `[B]` long, on a device; no copy waits for what it has yet to do.

    Args:
        rows: in memory of some device, or in a file.
        examples: their numbers, in the memory of the host.
        device: that gets them.
    """
    if isinstance(rows, Tensor):
        rows = rows[examples.to(rows.device, non_blocking=True)]
        return rows.to(device, non_blocking=True)
    some = rows[examples]
    return (some.pin_memory() if device.type == "cuda" else some).to(device, non_blocking=True)


def byte_counts(rows: Bytes) -> Tensor:
    """How often each byte occurs in all rows, `[256]` long."""
    counts = (torch.bincount(some.flatten(), minlength=256) for some in pieces(rows))
    return sum(counts, torch.zeros(256, dtype=torch.long))
