"""From characters to numbered tokens: in memory, or in a file for large texts."""

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

from tasks.data.cache import cache_folder, writable
from tasks.data.text.dataset import Text
from tasks.data.text.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    TokenKind,
)
from zoo.errors import DataError

Chunks = Callable[[], Iterator[str]]  # a part of a text, read anew by each call
LARGE = 2**26  # characters of a text whose tokens are kept in a file


@dataclass
class Survey:
    """What one reading of a text tells of it.

    Args:
        digest: SHA-256 of the characters and of the sizes of the parts.
        sizes: the number of characters of each part.
        characters: all that occur; empty where nobody asked for them.
    """

    digest: str
    sizes: list[int]
    characters: set[str]

    @classmethod
    def of(cls, parts: dict[str, Chunks], where: str, collect: bool) -> Survey:
        """Reads all parts once; DataError for one that is empty.

        Args:
            parts: the text.
            where: for messages.
            collect: whether the characters that occur are wanted.
        """
        digest, sizes, characters = hashlib.sha256(), [], set[str]()
        for name, chunks in parts.items():
            sizes.append(0)
            for chunk in chunks():
                sizes[-1] += len(chunk)
                if collect:
                    characters.update(chunk)
                digest.update(chunk.encode())
            digest.update(str(sizes).encode())
            if not sizes[-1]:
                raise DataError(f"the {name} part is empty", where, "give a longer text")
        return cls(digest.hexdigest(), sizes, characters)


def tokenised(parts: dict[str, Chunks], kind: TokenKind, vocabulary: int, where: str) -> Text:
    """A text as tokens; those of a large one lie in a file that is mapped into memory.

    Args:
        parts: `train`, `val` and `test`.
        kind: of the symbols. Characters are all that occur in the text; a byte-pair encoding is
            trained on the training part.
        vocabulary: the most symbols of a byte-pair encoding.
        where: for messages.
    """
    survey = Survey.of(parts, where, kind == "characters")

    def tokenizer() -> Tokenizer:
        if kind == "characters":
            return CharTokenizer(survey.characters)
        return (
            ByteTokenizer()
            if kind == "bytes"
            else BPETokenizer.trained(parts["train"](), vocabulary)
        )

    if sum(survey.sizes) >= LARGE:
        name = f"{survey.digest[:16]}-{kind}" + (f"-{vocabulary}" if kind == "bpe" else "")
        return mapped_text(parts, tokenizer, cache_folder("text", name), where)
    made = tokenizer()
    with tempfile.TemporaryFile() as file:
        sizes = write_tokens(parts, made, file)
        file.seek(0)
        tokens = torch.from_numpy(np.frombuffer(file.read(), token_type(made)).copy())
    return Text(tokens, sizes, made, where)


def mapped_text(
    parts: dict[str, Chunks], tokenizer: Callable[[], Tokenizer], folder: Path, where: str
) -> Text:
    """The text whose tokens lie in a folder of the cache, which is made if need be.

    Args:
        parts: `train`, `val` and `test`.
        tokenizer: makes the tokenizer.
        folder: of the cache; it appears only when it is whole.
        where: for messages.
    """
    if not folder.is_dir():
        writable(folder.parent)
        fresh = Path(tempfile.mkdtemp(prefix=".tmp", dir=folder.parent))
        try:
            made = tokenizer()
            with (fresh / "tokens.bin").open("wb") as file:
                sizes = write_tokens(parts, made, file)
            pairs = made.state() if isinstance(made, BPETokenizer) else None
            (fresh / "parts.json").write_text(json.dumps({"sizes": sizes, "pairs": pairs}))
            if not folder.is_dir():  # another process may have been faster
                fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    about = json.loads((folder / "parts.json").read_text())
    made = BPETokenizer(about["pairs"]) if about["pairs"] else tokenizer()
    kind = torch.int16 if token_type(made) is np.int16 else torch.int32
    path = str(folder / "tokens.bin")
    tokens = torch.from_file(path, shared=False, size=sum(about["sizes"]), dtype=kind)
    return Text(tokens, tuple(about["sizes"]), made, where)


def token_type(tokenizer: Tokenizer) -> type[np.signedinteger]:
    """The smaller of two types of integers that can number all symbols."""
    return np.int16 if len(tokenizer) < 2**15 else np.int32


def write_tokens(
    parts: dict[str, Chunks], tokenizer: Tokenizer, file: IO[bytes]
) -> tuple[int, int, int]:
    """Writes the tokens of all parts into a file; returns the number of tokens of each part."""
    kind, sizes = token_type(tokenizer), []
    for chunks in parts.values():
        start = file.tell()
        for chunk in chunks():
            file.write(tokenizer.encode(chunk).astype(kind).tobytes())
        sizes.append((file.tell() - start) // np.dtype(kind).itemsize)
    train, val, test = sizes
    return train, val, test
