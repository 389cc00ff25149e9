"""Your own text, from a file, or any data set of the Hub with a column of text."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from tasks.data.folders import folder_at
from tasks.data.phrases import shown
from tasks.data.remembered import SMALL, stamp
from tasks.data.shares import Share
from tasks.data.splits import PARTS
from tasks.data.text.dataset import Text
from tasks.data.text.text_stream import (
    Chunks,
    character_start,
    part_starts,
    read_rows,
    read_text,
)
from tasks.data.text.token_files import NAMES, has_token_files, read_token_files
from tasks.data.text.tokenize import tokenised
from tasks.data.text.tokenizers import TokenKind
from zoo.config.options import Needs
from zoo.config.sizes import Batch
from zoo.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tasks.data.used_splits import UsedSplits

VocabularySize = Annotated[int, Ge(257), Le(2**20)]
SHARE = 0.05  # that validation and test have, unless told otherwise


class TextFile:
    """Your own text, or a data set of the Hub with a column of text.

    Of a file, validation and test are the last parts; of a data set, its splits, or the last rows
    of the training split. Rows are joined by line ends.

    Args:
        path: file in UTF-8, folder in the Hub's layout or of prepared tokens (`token_files`), or
            else an id of the Hub.
        name: which configuration, where the data has several.
        text: column of the text; None: `text`, or the only one.
        train_split: None: `train`, or the only split.
        val_split: None: `val`, `valid`, `validation` or `dev`; without one, a share of the training
            split.
        test_split: None: `test`; likewise.
        val: the share for validation.
        test: the share for the test.
        tokens: `characters`, `bytes`, or `bpe`: a byte-pair encoding of the training part.
        vocabulary: the most symbols of bpe; of prepared tokens their number.
        batch_size: windows of a training batch over all processes.
    """

    counts_with: ClassVar[Needs] = {"vocabulary": (("data.tokens", ("bpe",)),)}

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        text: str | None = None,
        train_split: str | None = None,
        val_split: str | None = None,
        test_split: str | None = None,
        val: Share = SHARE,
        test: Share = SHARE,
        tokens: TokenKind = "characters",
        vocabulary: VocabularySize = 4096,
        batch_size: Batch = 16,
    ):
        if path is None:
            raise ValueError("there is no text: give data.path=FILE, a folder or an id of the Hub")
        self.path, self.name, self.text = path, name, text
        self.split_names = (train_split, val_split, test_split)
        self.val, self.test = val, test
        self.tokens, self.vocabulary, self.batch_size = tokens, vocabulary, batch_size
        part_starts(1, val, test)
        if tokens == "bpe":
            from tasks.data.text.tokenizers import library

            library()

    def load(self) -> Text:
        """Reads the text and turns it into tokens."""
        from tasks.data.used_splits import find_splits

        file = folder_at(self.path)
        if file.suffix == ".txt" and not file.exists():
            raise DataError("no such file", self.path, "give data.path=FILE")
        where = shown(self.path)
        if has_token_files(file):
            self.refuse_rows("a folder of tokens")
            self.refuse_shares(where)
            data = read_token_files(file, self.tokens, self.vocabulary, where)
        elif file.name in NAMES and has_token_files(file.parent):
            fix = f"give its folder: data.path={shown(str(file.parent))}"
            raise DataError("it holds tokens, not text", where, fix)
        elif file.is_file():
            self.refuse_rows("a file")
            name = stamp([file])
            name = name and f"{name} {self.val} {self.test}"
            data = tokenised(self.of_file(file), self.tokens, self.vocabulary, where, name)
        else:
            used = find_splits(self.path, self.name, self.split_names)
            parts, name = self.of_rows(used)
            data = tokenised(parts, self.tokens, self.vocabulary, where, name)
            data.notes += used.notes
        data.batch_size = self.batch_size
        return data

    def refuse_rows(self, what: str) -> None:
        """Raises ConfigError for an option about rows, which something has not."""
        keys = ("name", "text", "train_split", "val_split", "test_split")
        for key, value in zip(keys, (self.name, self.text, *self.split_names), strict=True):
            if value is not None:
                odd = f"data.{key}={value}, but {what} has no rows"
                raise ConfigError(odd, shown(self.path), f"leave data.{key} out")

    def refuse_shares(self, where: str) -> None:
        """Raises ConfigError for a share of tokens whose parts are files."""
        for key in ("val", "test"):
            if getattr(self, key) != SHARE:
                odd = f"data.{key}={getattr(self, key)}, but the parts of tokens are files"
                raise ConfigError(odd, where, f"leave data.{key} out")

    def of_file(self, file: Path) -> dict[str, Chunks]:
        """The parts of a file, which begin with whole characters."""
        size = file.stat().st_size
        if not size:
            raise DataError("the file is empty", str(file), "give a text")
        first, second = (character_start(file, at) for at in part_starts(size, self.val, self.test))
        return {
            "train": partial(read_text, file, 0, first),
            "val": partial(read_text, file, first, second),
            "test": partial(read_text, file, second, size),
        }

    def of_rows(self, used: UsedSplits) -> tuple[dict[str, Chunks], str]:
        """The parts of a data set of the Hub, or of a folder in its layout, and a name for them.

        The name stands for the content as that of `remembered` does; it is that of `datasets`.
        """
        from tasks.data.columns import find_column

        splits, parts = used.splits, used.parts
        features = splits[parts["train"]].features
        strings = ("string", "large_string")
        fits = [name for name, f in features.items() if getattr(f, "dtype", None) in strings]
        fits = ["text"] if "text" in fits else fits
        column = find_column(list(features), self.text, fits, "text", self.path)
        if getattr(features[column], "dtype", None) not in strings:
            what = f"the column {column} has no text"
            raise DataError(what, self.path, "give data.text=COLUMN")
        rows_of = {part: splits[name].select_columns([column]) for part, name in parts.items()}
        missing = {part: getattr(self, part) for part in ("val", "test") if part not in parts}
        rows = rows_of["train"]
        first, second = part_starts(len(rows), missing.get("val", 0), missing.get("test", 0))
        shares = {"val": range(first, second), "test": range(second, len(rows))}
        if missing:
            rows_of |= {part: rows.select(shares[part]) for part in missing if shares[part]}
            rows_of["train"] = rows.select(range(first))
        lost = [part for part in missing if part not in rows_of]
        if lost or not first:
            what = f"{len(rows)} rows are too few for a share that is for {' and '.join(missing)}"
            raise DataError(what, self.path, "name other splits, or give a file")
        small = sum(rows.data.nbytes for rows in rows_of.values()) < SMALL
        name = "" if small else f"{column} " + " ".join(r._fingerprint for r in rows_of.values())
        return {part: partial(read_rows, rows_of[part], column) for part in PARTS}, name
