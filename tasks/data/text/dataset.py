"""A text as numbered symbols in three parts, and the windows that are cut from it."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tasks.data.alike import sized_parts
from tasks.data.folders import counted
from tasks.data.text.tokenizers import Tokenizer, tokenizer_of
from zoo.errors import DataError
from zoo.seeding import generator

PARTS = ("train", "val", "test")


@dataclass(eq=False)
class Text:
    """A text in three parts.

    Args:
        tokens: `[N]` int16 or int32, the parts one after the other.
        sizes: tokens of `train`, `val` and `test`.
        symbols: the vocabulary.
        where: file or option that it comes from, for messages.
        batch_size: windows of a training batch over all processes.
        notes: what is odd in the data, a line each.
    """

    tokens: Tensor
    sizes: tuple[int, int, int]
    tokenizer: Tokenizer
    where: str
    batch_size: int = 16
    notes: list[str] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, range]:
        """The places of each part among the tokens."""
        ends = list(itertools.accumulate(self.sizes, initial=0))
        spans = (range(*span) for span in itertools.pairwise(ends))
        return dict(zip(PARTS, spans, strict=True))

    def summary(self) -> str:
        """What was read, in one line."""
        return (
            f"{self.where}: {counted(sum(self.sizes), 'token')} ({self.tokenizer.kind}, "
            f"{counted(len(self.tokenizer), 'symbol')}): {sized_parts(self.parts)}"
        )

    @functools.cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256(f"{self.sizes}{self.tokens.dtype}".encode())
        digest.update(self.tokenizer.state().encode())
        digest.update(self.tokens.numpy().data)
        return digest.hexdigest()

    def digest(self) -> str:
        """SHA-256 over tokens, parts and symbols."""
        return self.sha256

    def metadata(self) -> dict[str, Any]:
        """The same without its tokens: what a trained model must know of it."""
        known = {"kind": self.tokenizer.kind, "state": self.tokenizer.state()}
        others = {"sizes": self.sizes, "where": self.where, "batch_size": self.batch_size}
        return {"symbols": known, **others}

    @classmethod
    def from_metadata(cls, outline: dict[str, Any]) -> Text:
        known = dict(outline)
        tokenizer = tokenizer_of(**known.pop("symbols"))
        return cls(torch.zeros(1, dtype=torch.int16), tokenizer=tokenizer, **known)

    def fits(self, context: int) -> None:
        """DataError where a part has no whole window of so many tokens and the one after it."""
        for name, size in zip(PARTS, self.sizes, strict=True):
            if size <= context:
                what = f"the {name} part has {size} tokens, model.context={context} needs more"
                raise DataError(what, self.where, "give a longer text or a smaller model.context")


class RandomWindows:
    """Batches of random windows without end, each following from the seed and its number alone.

    Args:
        count: of the places where a window can start.
        size: windows of a batch.
        seed: of the choice.
        number: of the first batch.
    """

    def __init__(self, count: int, size: int, seed: int, number: int = 0):
        self.count, self.size, self.seed, self.number = count, size, seed, number

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            self.number += 1
            yield self.batch(self.number - 1)

    def batch(self, number: int) -> Tensor:
        """The starts of one batch."""
        draws = generator(self.seed, "windows", str(number))
        return torch.randint(self.count, (self.size,), generator=draws)
