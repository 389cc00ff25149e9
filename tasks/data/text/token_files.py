"""Folders of tokens that somebody has prepared, as nanoGPT keeps them: `train.bin`, `val.bin`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.data.remembered import remembered, stamp
from tasks.data.text.dataset import PIECE, Text
from tasks.data.text.joined import JoinedTokens
from tasks.data.text.tokenizers import ByteTokenizer, NumberTokenizer, Tokenizer, TokenKind
from zoo.errors import ConfigError, DataError, shown

NAMES = TRAIN, VAL, TEST = "train.bin", "val.bin", "test.bin"
MOST = 2**16  # symbols whose numbers have 16 bits
WIDE = f"of numbers of 16 bits, such as nanoGPT's, give data.vocabulary={MOST} or less"


def has_token_files(folder: Path) -> bool:
    """Whether a folder holds prepared tokens."""
    return (folder / TRAIN).is_file()


def read_token_files(folder: Path, kind: TokenKind, vocabulary: int, where: str) -> Text:
    """The tokens of a folder, mapped into memory: numbers of 16 bits, without sign or header.

    Test is `test.bin`; without one, the second half of `val.bin`. Above 65,536 symbols a number has
    32 bits.

    Args:
        folder: of the files.
        kind: `bytes`, or `bpe` for any other tokens.
        vocabulary: the number of symbols of bpe.
        where: for messages.

    Errors:
        ConfigError: a token is no symbol of the vocabulary, or the kind is `characters`.
        DataError: a file is missing, cut or empty.
    """
    if kind == "characters":
        fix = "give data.tokens=bpe data.vocabulary=NUMBER, or data.tokens=bytes"
        raise ConfigError(f"{TRAIN} holds numbers, not characters", where, fix)
    tokenizer: Tokenizer = ByteTokenizer() if kind == "bytes" else NumberTokenizer(vocabulary)
    symbols = len(tokenizer)
    paths = [folder / name for name in NAMES if (folder / name).exists()]
    if folder / VAL not in paths:
        raise DataError(f"there is {TRAIN} and no {VAL}", where, f"put {VAL} there")
    files = [tokens_in(path, symbols) for path in paths]
    sizes = [len(file) for file in files]
    if len(files) < 3:
        sizes[1:] = [sizes[1] - sizes[1] // 2, sizes[1] // 2]
    text = Text(JoinedTokens(files), (sizes[0], sizes[1], sizes[2]), tokenizer, where)
    name = stamp(paths)
    known = remembered(name and f"{name} {kind} {symbols}", lambda: findings(text))
    if not 0 <= known["least"] <= known["largest"] < symbols:
        odd = known["largest"] if known["largest"] >= symbols else known["least"]
        what = f"token {odd} is none of {symbols} symbols"
        fix = f"give data.tokens=bpe data.vocabulary={known['largest'] + 1} or more"
        raise ConfigError(what, where, fix if symbols <= MOST else WIDE)
    text.known_digest = known["sha256"]
    return text


def tokens_in(path: Path, symbols: int) -> Tensor:
    """The tokens `[n]` of a file; DataError where it is empty, or its last number is cut."""
    kind = torch.uint16 if symbols <= MOST else torch.int32
    size, rest = divmod(path.stat().st_size, kind.itemsize)
    if rest or not size:
        what = f"{path.stat().st_size:,} bytes are no whole number of tokens of {kind.itemsize}"
        fix = "copy it again" if symbols <= MOST else WIDE
        raise DataError(what if rest else "the file is empty", shown(str(path)), fix)
    return torch.from_file(str(path), shared=False, size=size, dtype=kind)


def findings(text: Text) -> dict[str, Any]:
    """The digest of a text, and its least and largest tokens."""
    ends = [some.int().aminmax() for some in text.tokens.split(PIECE)]
    least, largest = min(end.min.item() for end in ends), max(end.max.item() for end in ends)
    return {"sha256": text.digest(), "least": least, "largest": largest}
