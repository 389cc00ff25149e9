"""From characters to numbered symbols: in memory, or in a file for large texts."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch

from tasks.data.cache import cache_folder, made
from tasks.data.text.dataset import Text
from tasks.data.text.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Kind, Tokenizer
from zoo.errors import DataError

Pieces = Callable[[], Iterator[str]]  # a part of a text, read anew by each call
LARGE = 2**26  # characters of a text whose tokens are kept in a file


@dataclass
class Survey:
    """What one reading of a text shows.

    Args:
        digest: SHA-256 of the characters and of where the parts begin.
        sizes: characters of each part.
        characters: all that occur, if they are wanted.
    """

    digest: str
    sizes: list[int]
    characters: set[str]

    @classmethod
    def of(cls, parts: dict[str, Pieces], where: str, spell: bool) -> Survey:
        """Reads all parts once; DataError for one that is empty."""
        digest, sizes, characters = hashlib.sha256(), [], set[str]()
        for name, pieces in parts.items():
            sizes.append(0)
            for piece in pieces():
                sizes[-1] += len(piece)
                if spell:
                    characters.update(piece)
                digest.update(piece.encode())
            digest.update(str(sizes).encode())
            if not sizes[-1]:
                raise DataError(f"the {name} part is empty", where, "give a longer text")
        return cls(digest.hexdigest(), sizes, characters)


def tokenised(parts: dict[str, Pieces], kind: Kind, vocabulary: int, where: str) -> Text:
    """A text as symbols; those of a large one are kept in a file and mapped into memory.

    Args:
        parts: `train`, `val` and `test`.
        kind: of the symbols. All characters of the text are known; the byte-pair encoding is that
            of the training part.
        vocabulary: the most symbols of a byte-pair encoding.
        where: for messages.
    """
    seen = Survey.of(parts, where, kind == "characters")

    def tokenizer() -> Tokenizer:
        if kind == "characters":
            return CharTokenizer(seen.characters)
        return (
            ByteTokenizer()
            if kind == "bytes"
            else BPETokenizer.trained(parts["train"](), vocabulary)
        )

    if sum(seen.sizes) >= LARGE:
        name = f"{seen.digest[:16]}-{kind}" + (f"-{vocabulary}" if kind == "bpe" else "")
        return mapped(parts, seen, tokenizer, cache_folder("text", name), where)
    known = tokenizer()
    with tempfile.TemporaryFile() as file:
        sizes = write(parts, known, file)
        file.seek(0)
        tokens = torch.from_numpy(np.frombuffer(file.read(), width(known)).copy())
    return Text(tokens, sizes, known, where)


def mapped(
    parts: dict[str, Pieces],
    seen: Survey,
    tokenizer: Callable[[], Tokenizer],
    home: Path,
    where: str,
) -> Text:
    """The text whose tokens lie in a folder, which is made where it is not there, whole."""
    if not home.is_dir():
        made(home.parent)
        fresh = Path(tempfile.mkdtemp(prefix=".tmp", dir=home.parent))
        try:
            known = tokenizer()
            with (fresh / "tokens.bin").open("wb") as file:
                sizes = write(parts, known, file)
            pairs = known.state() if isinstance(known, BPETokenizer) else None
            (fresh / "parts.json").write_text(json.dumps({"sizes": sizes, "pairs": pairs}))
            if not home.is_dir():  # another process may have been faster
                fresh.rename(home)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    about = json.loads((home / "parts.json").read_text())
    known = BPETokenizer(about["pairs"]) if about["pairs"] else tokenizer()
    kind = torch.int16 if width(known) is np.int16 else torch.int32
    path = str(home / "tokens.bin")
    tokens = torch.from_file(path, shared=False, size=sum(about["sizes"]), dtype=kind)
    return Text(tokens, tuple(about["sizes"]), known, where)


def width(tokenizer: Tokenizer) -> type[np.signedinteger]:
    """The smallest kind of number for so many symbols."""
    return np.int16 if len(tokenizer) < 2**15 else np.int32


def write(parts: dict[str, Pieces], tokenizer: Tokenizer, file: IO[bytes]) -> tuple[int, int, int]:
    """Writes the tokens of all parts, and gives the number of each."""
    sizes = []
    for pieces in parts.values():
        start = file.tell()
        for piece in pieces():
            file.write(tokenizer.encode(piece).astype(width(tokenizer)).tobytes())
        sizes.append((file.tell() - start) // np.dtype(width(tokenizer)).itemsize)
    train, val, test = sizes
    return train, val, test
