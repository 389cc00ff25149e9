"""What one reading of a text tells of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tasks.data.remembered import remembered
from tasks.data.text.text_stream import Chunks, shown_as
from zoo.errors import DataError


class Reading:
    """Follows one reading of a text, part by part.

    Attributes:
        digest: SHA-256 of the characters and of the sizes of the parts so far.
        sizes: the number of characters of each part.
        encoded: bytes in UTF-8.
    """

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.sizes: list[int] = []
        self.encoded = 0

    def of(self, chunks: Iterator[str]) -> Iterator[str]:
        """Passes on the chunks of the next part."""
        self.sizes.append(0)
        for chunk in chunks:
            content = chunk.encode()
            self.digest.update(content)
            self.encoded += len(content)
            self.sizes[-1] += len(chunk)
            yield chunk
        self.digest.update(str(self.sizes).encode())


@dataclass
class Survey:
    """What one reading of a text tells of it.

    Args:
        digest: SHA-256 of the characters and of the sizes of the parts.
        sizes: the number of characters of each part.
        encoded: bytes of the whole text in UTF-8.
        characters: all that occur, in the order of Unicode; empty where nobody asked for them.
    """

    digest: str
    sizes: list[int]
    encoded: int
    characters: str

    @classmethod
    def of(cls, parts: Mapping[str, Chunks], where: str, collect: bool, name: str = "") -> Survey:
        """Reads all parts once; DataError for one that is empty.

        Args:
            parts: the text.
            where: for messages.
            collect: whether the characters that occur are wanted.
            name: that stands for this content, as of `remembered`.
        """

        def find() -> dict[str, Any]:
            return asdict(cls.read(parts, where, collect))

        return cls(**remembered(name and f"{name} {collect}", find))

    @classmethod
    def read(cls, parts: Mapping[str, Chunks], where: str, collect: bool) -> Survey:
        """Reads all parts; arguments are those of `of`."""
        reading, characters = Reading(), set[str]()
        for name, chunks in shown_as("reading", parts).items():
            for chunk in reading.of(chunks()):
                if collect:
                    characters.update(chunk)
            if not reading.sizes[-1]:
                raise DataError(f"the {name} part is empty", where, "give a longer text")
        alphabet = "".join(sorted(characters))
        return cls(reading.digest.hexdigest(), reading.sizes, reading.encoded, alphabet)
