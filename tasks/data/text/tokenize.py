"""From characters to numbered tokens: in memory, or prepared once in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping

import numpy as np
import torch

from tasks.data.cache import cache_folder
from tasks.data.text.dataset import Text, token_type
from tasks.data.text.prepared import prepared_text, write_tokens
from tasks.data.text.survey import Reading, Survey
from tasks.data.text.text_stream import Chunks, shown_as
from tasks.data.text.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    TokenKind,
)

LARGE = 2**26  # characters of a text whose tokens are kept in a file


def tokenised(
    parts: Mapping[str, Chunks], kind: TokenKind, vocabulary: int, where: str, name: str = ""
) -> Text:
    """A text as tokens; of a large one, or of byte pairs, they are prepared once in a file.

    Args:
        parts: `train`, `val` and `test`.
        kind: of the symbols. Characters are all that occur in the text; a byte-pair encoding is
            trained on the training part.
        vocabulary: the most symbols of a byte-pair encoding.
        where: for messages.
        name: that stands for the content of a large text, so that it is not read again.
    """
    survey = Survey.of(parts, where, kind == "characters", name)

    def tokenizer() -> Tokenizer:
        if kind == "bpe":
            train = shown_as("byte pairs", {"train": parts["train"]}, survey.sizes[0])["train"]
            return BPETokenizer.trained(train(), vocabulary)
        return CharTokenizer(survey.characters) if kind == "characters" else ByteTokenizer()

    if kind == "bpe" or sum(survey.sizes) >= LARGE:
        key = f"{survey.digest[:16]}-{kind}" + (f"-{vocabulary}" if kind == "bpe" else "")
        text = prepared_text(cache_folder("text", key), parts, survey, tokenizer, where)
        if kind == "bpe" and len(text.tokenizer) < vocabulary:
            few = f"{len(text.tokenizer):,} of data.vocabulary={vocabulary} symbols"
            text.notes.append(f"the text is too short for more than {few}")
        return text
    made = tokenizer()
    with tempfile.TemporaryFile() as file:
        sizes = write_tokens(parts, made, file, Reading())
        file.seek(0)
        content = np.frombuffer(file.read(), np.uint8).copy()
    tokens = torch.from_numpy(content).view(token_type(len(made)))
    return Text(tokens, sizes, made, where)
