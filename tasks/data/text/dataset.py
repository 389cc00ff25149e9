"""A text as numbered tokens in three parts, and random windows of it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tasks.data.on_device import OnDevice, room_on
from tasks.data.phrases import counted, sized_parts
from tasks.data.splits import PARTS
from tasks.data.text.joined import JoinedTokens
from tasks.data.text.tokenizers import Tokenizer, tokenizer_of
from zoo.errors import DataError
from zoo.seeding import generator

PIECE = 2**24  # tokens that are looked at at once


def token_type(symbols: int) -> torch.dtype:
    """The smallest of three types of integers that can number some symbols.

    >>> token_type(50257)
    torch.uint16
    """
    return next(
        t for t in (torch.int16, torch.uint16, torch.int32) if symbols - 1 <= torch.iinfo(t).max
    )


@dataclass(eq=False)
class Text:
    """A text in three parts.

    Args:
        tokens: `[N]` of `token_type`, the parts one after the other; a large text's lie in files
            that are mapped into memory.
        sizes: the number of tokens of `train`, `val` and `test`.
        tokenizer: turns tokens into text and back.
        where: file or option that it comes from, for messages.
        batch_size: windows of a training batch over all processes.
        notes: what is odd in the data, a line each.
        known_digest: of tokens, parts and symbols, where it was computed before; else empty.
    """

    tokens: Tensor | JoinedTokens
    sizes: tuple[int, int, int]
    tokenizer: Tokenizer
    where: str
    batch_size: int = 16
    notes: list[str] = field(default_factory=list)
    known_digest: str = ""

    def __post_init__(self) -> None:
        self.there = OnDevice[Tensor]()

    @property
    def parts(self) -> dict[str, range]:
        """The positions of each part's tokens."""
        ends = list(itertools.accumulate(self.sizes, initial=0))
        spans = (range(*span) for span in itertools.pairwise(ends))
        return dict(zip(PARTS, spans, strict=True))

    def summary(self) -> str:
        """One line on what was read: tokens, symbols and parts."""
        return (
            f"{self.where}: {counted(sum(self.sizes), 'token')} ({self.tokenizer.kind}, "
            f"{counted(len(self.tokenizer), 'symbol')}): {sized_parts(self.parts)}"
        )

    def digest(self) -> str:
        """The SHA-256 of tokens, parts and symbols, computed once."""
        self.known_digest = self.known_digest or self.sha256()
        return self.known_digest

    def sha256(self) -> str:
        """The SHA-256 of tokens, parts and symbols; a type without sign counts as int32."""
        digest = hashlib.sha256(f"{self.sizes}{self.signed}".encode())
        digest.update(self.tokenizer.state().encode())
        for some in self.tokens.split(PIECE):
            digest.update(some.to(self.signed).numpy().data)
        return digest.hexdigest()

    @property
    def signed(self) -> torch.dtype:
        """The type with a sign that holds the tokens, for which PyTorch has every operation."""
        return torch.int16 if self.tokens.dtype == torch.int16 else torch.int32

    def tokens_on(self, device: torch.device) -> Tensor | JoinedTokens:
        """The tokens `[N]` on a device, brought there once for all that ask, if it has room."""

        def bring() -> Tensor:
            tokens, done = torch.empty(len(self.tokens), dtype=self.signed, device=device), 0
            for some in self.tokens.split(PIECE):
                tokens[done : done + len(some)].copy_(some.to(self.signed))
                done += len(some)
            return tokens

        fits = len(self.tokens) * self.signed.itemsize <= room_on(device)
        return self.there(device, bring) if fits else self.tokens

    def metadata(self) -> dict[str, Any]:
        """What a trained model must know of the data: all of it but the tokens."""
        symbols = {"kind": self.tokenizer.kind, "state": self.tokenizer.state()}
        others = {"sizes": self.sizes, "where": self.where, "batch_size": self.batch_size}
        return {"symbols": symbols, **others}

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> Text:
        """The text of one token that has this metadata; TypeError for sizes that are none."""
        others = dict(metadata)
        if not isinstance(others["sizes"], tuple):
            raise TypeError(f"sizes are a tuple, not a {type(others['sizes']).__name__}")
        tokenizer = tokenizer_of(**others.pop("symbols"))
        return cls(torch.zeros(1, dtype=torch.int16), tokenizer=tokenizer, **others)

    def refuse_short_parts(self, context: int) -> None:
        """Raises DataError where a part has less than a window of `context` tokens and one more."""
        for name, size in zip(PARTS, self.sizes, strict=True):
            if size <= context:
                what = f"the {name} part has {size} tokens, model.context={context} needs more"
                raise DataError(what, self.where, "give a longer text or a smaller model.context")


class RandomWindows:
    """Batches of random windows without end, each following from the seed and its number alone.

    Iteration gives the positions `[size]` long where the windows of a batch begin.

    Args:
        count: number of positions where a window can begin.
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
        """The positions `[size]` long where the windows of the batch of a number begin."""
        draws = generator(self.seed, "windows", str(number))
        return torch.randint(self.count, (self.size,), generator=draws)
