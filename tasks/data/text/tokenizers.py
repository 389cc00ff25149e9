"""Tokenizers: of characters, of bytes, and byte-pair encoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, ClassVar, Literal

import numpy as np

from zoo.errors import ConfigError

TokenKind = Literal["characters", "bytes", "bpe"]
Numbers = np.ndarray[Any, np.dtype[Any]]
AT_ONCE = 4  # chunks of a text that are turned into byte pairs side by side
CONTINUES = range(0x80, 0xC0)  # bytes of UTF-8 in which no character begins


class Tokenizer(ABC):
    """Turns text into numbers of symbols and back.

    Attributes:
        kind: of the symbols.
        lengths: for each symbol the number of characters that begin in it; 0 where nobody knows.
        between: what stands between two texts that follow one another.
    """

    kind: ClassVar[TokenKind | Literal["numbers"]]
    between: ClassVar[str] = ""
    lengths: Sequence[int] | Numbers

    def __len__(self) -> int:
        return len(self.lengths)

    @abstractmethod
    def encode(self, text: str) -> Numbers:
        """The numbers `[n]` of a text's symbols; ValueError for a character that is none."""

    def encode_all(self, chunks: Iterable[str]) -> Iterator[Numbers]:
        """Gives the numbers `[n]` of each of some chunks."""
        return map(self.encode, chunks)

    @abstractmethod
    def decode(self, numbers: Iterable[int]) -> str:
        """The text of these symbols; bytes that make no character become replacement characters."""

    @abstractmethod
    def state(self) -> str:
        """What `tokenizer_of` needs to make the same tokenizer again."""


def tokenizer_of(kind: str, state: str) -> Tokenizer:
    """The tokenizer of this kind whose `state` returned this text; TypeError for no text."""
    if not isinstance(state, str):
        raise TypeError(f"the state of a tokenizer is a text, not a {type(state).__name__}")
    if kind == "numbers":
        return NumberTokenizer(int(state))
    if kind == "bytes":
        return ByteTokenizer()
    return CharTokenizer(state) if kind == "characters" else BPETokenizer(state)


class CharTokenizer(Tokenizer):
    """A symbol for each of some characters, in the order of Unicode.

    >>> tokenizer = CharTokenizer("hello")
    >>> tokenizer.encode("hole").tolist(), tokenizer.decode([1, 0])
    ([1, 3, 2, 0], 'he')
    """

    kind = "characters"

    def __init__(self, characters: Iterable[str]):
        self.characters = sorted(set(characters))
        self.codes = np.array([ord(character) for character in self.characters], np.uint32)
        self.lengths = [1] * len(self.characters)

    def encode(self, text: str) -> Numbers:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        numbers = np.minimum(np.searchsorted(self.codes, codes), len(self) - 1)
        unknown = np.flatnonzero(self.codes[numbers] != codes)
        if len(unknown):
            raise ValueError(f"the character {text[unknown[0]]!r} is none of the {len(self)} known")
        return numbers

    def decode(self, numbers: Iterable[int]) -> str:
        return "".join(self.characters[number] for number in numbers)

    def state(self) -> str:
        return "".join(self.characters)


class ByteTokenizer(Tokenizer):
    """A symbol for each of the 256 bytes of UTF-8.

    >>> ByteTokenizer().encode("é").tolist()
    [195, 169]
    """

    kind = "bytes"

    def __init__(self) -> None:
        self.lengths = [int(byte not in CONTINUES) for byte in range(256)]

    def encode(self, text: str) -> Numbers:
        return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)

    def decode(self, numbers: Iterable[int]) -> str:
        return bytes(numbers).decode("utf-8", "replace")

    def state(self) -> str:
        return ""


class NumberTokenizer(Tokenizer):
    """Symbols that are known by their numbers alone, written with a space between two.

    >>> NumberTokenizer(500).encode("464 2").tolist(), NumberTokenizer(500).decode([464, 2])
    ([464, 2], '464 2')
    """

    kind = "numbers"
    between = " "

    def __init__(self, size: int):
        self.lengths = np.broadcast_to(np.int64(0), size)  # in the memory of one value

    def encode(self, text: str) -> Numbers:
        words = text.split()
        for word in words:
            if not (word.isascii() and word.isdigit() and int(word) < len(self)):
                raise ValueError(f"{word!r} is no number of a token below {len(self)}")
        return np.array([int(word) for word in words], np.int64)

    def decode(self, numbers: Iterable[int]) -> str:
        return " ".join(map(str, numbers))

    def state(self) -> str:
        return str(len(self))


class BPETokenizer(Tokenizer):
    """Byte-pair encoding of UTF-8 as in GPT-2, through the library `tokenizers`.

    Source: Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2019, section 2.2.

    Args:
        state: a tokenizer of the library as JSON.
    """

    kind = "bpe"

    def __init__(self, state: str):
        self.tokenizer = library().Tokenizer.from_str(state)
        vocabulary = self.tokenizer.get_vocab()
        pieces = sorted(vocabulary, key=vocabulary.__getitem__)
        continues = {letter for byte, letter in enumerate(letters()) if byte in CONTINUES}
        self.lengths = [sum(letter not in continues for letter in piece) for piece in pieces]

    @classmethod
    def trained(cls, text: Iterable[str], size: int) -> BPETokenizer:
        """Trains the encoding of at most `size` symbols on a text, given in chunks."""
        lib = library()
        tokenizer = lib.Tokenizer(lib.models.BPE())
        tokenizer.pre_tokenizer = lib.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = lib.decoders.ByteLevel()
        trainer = lib.trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=letters(), show_progress=False
        )
        tokenizer.train_from_iterator(text, trainer)
        return cls(tokenizer.to_str())

    def encode(self, text: str) -> Numbers:
        (numbers,) = self.encode_all([text])
        return numbers

    def encode_all(self, chunks: Iterable[str]) -> Iterator[Numbers]:
        """Gives the numbers `[n]` of each of some chunks, several of which are encoded at once."""
        texts = (chunk.encode("utf-8", "replace").decode() for chunk in chunks)
        while some := [*islice(texts, AT_ONCE)]:
            for encoded in self.tokenizer.encode_batch_fast(some):
                yield np.array(encoded.ids, np.int64)

    def decode(self, numbers: Iterable[int]) -> str:
        return self.tokenizer.decode(list(numbers))

    def state(self) -> str:
        return self.tokenizer.to_str()


def letters() -> list[str]:
    """The letter that stands for each of the 256 bytes in the vocabulary of GPT-2.

    Bytes that print stand for themselves, the others are shifted behind the first 256.

    >>> letters()[ord("a")], letters()[ord(" ")]
    ('a', 'Ġ')
    """
    printing = {*chain(range(33, 127), range(161, 173), range(174, 256))}
    shifted = iter(range(256, 512))
    return [chr(byte if byte in printing else next(shifted)) for byte in range(256)]


def library() -> Any:
    """The library `tokenizers`; ConfigError where it is not installed."""
    try:
        import tokenizers
        import tokenizers.decoders
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError:
        fix = "pip install tokenizers, or choose characters or bytes"
        raise ConfigError("the library tokenizers is not there", "data.tokens=bpe", fix) from None
    return tokenizers
