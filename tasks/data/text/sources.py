"""Sources of text: the documentation of Python, any file, and data sets of the Hub."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from tasks.data.folders import folder_at, shown
from tasks.data.images.sources import Batch, Share
from tasks.data.text.dataset import Text
from tasks.data.text.text_stream import boundary, cuts, lines, read
from tasks.data.text.tokenize import Pieces, tokenised
from tasks.data.text.tokenizers import Kind
from zoo.config.options import Needs
from zoo.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tasks.data.source import Source

Size = Annotated[int, Ge(257), Le(2**20)]


class PyDoc:
    """The reference of the Python language, as its own `help` knows it: no download.

    The topics of `pydoc_data`, about 465,000 characters, in alphabetical order; validation and test
    are the last ones. The text differs between versions of Python.

    Source: https://docs.python.org/3/reference/

    Args:
        val: share of the text that is for validation.
        test: share of the text that is for the test.
        batch_size: windows of a training batch over all processes.
    """

    def __init__(self, val: Share = 0.05, test: Share = 0.05, batch_size: Batch = 16):
        self.val, self.test, self.batch_size = val, test, batch_size
        cuts(1, val, test)

    def load(self) -> Text:
        from pydoc_data.topics import topics

        text = "\n".join(topics[name] for name in sorted(topics))
        first, second = cuts(len(text), self.val, self.test)
        parts = {"train": text[:first], "val": text[first:second], "test": text[second:]}
        pieces: dict[str, Pieces] = {name: partial(iter, [part]) for name, part in parts.items()}
        data = tokenised(pieces, "characters", 0, "pydoc")
        data.batch_size = self.batch_size
        return data


class TextFile:
    """Your own text, or a data set of the Hub with a column of text.

    Of a file, validation and test are the last parts; of a data set, its splits, or the last rows
    of the training split. Rows are joined by line ends.

    Args:
        path: file in UTF-8, folder in the Hub's layout, or else an id of the Hub.
        name: which configuration, where the data has several.
        text: column of the text; None: `text`, or the only one.
        train_split: None: `train`, or the only split.
        val_split: None: `val`, `valid`, `validation` or `dev`; without one, a share of the training
            split.
        test_split: None: `test`; likewise.
        val: the share for validation.
        test: the share for the test.
        tokens: `characters`, `bytes`, or `bpe`: a byte-pair encoding of the training part.
        vocabulary: the most symbols of bpe.
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
        val: Share = 0.05,
        test: Share = 0.05,
        tokens: Kind = "characters",
        vocabulary: Size = 4096,
        batch_size: Batch = 16,
    ):
        if path is None:
            raise ValueError("there is no text: give data.path=FILE, a folder or an id of the Hub")
        self.path, self.name, self.text = path, name, text
        self.splits = (train_split, val_split, test_split)
        self.val, self.test = val, test
        self.tokens, self.vocabulary, self.batch_size = tokens, vocabulary, batch_size
        cuts(1, val, test)
        if tokens == "bpe":
            from tasks.data.text.tokenizers import library

            library()

    def load(self) -> Text:
        from tasks.data.source import find_source

        file = folder_at(self.path)
        if file.suffix == ".txt" and not file.exists():
            raise DataError("no such file", self.path, "give data.path=FILE")
        if file.is_file():
            self.refuse_rows()
            parts, notes = self.of_file(file), []
        else:
            source = find_source(self.path, self.name, self.splits)
            parts, notes = self.of_rows(source), source.notes
        data = tokenised(parts, self.tokens, self.vocabulary, shown(self.path))
        data.batch_size, data.notes = self.batch_size, notes
        return data

    def refuse_rows(self) -> None:
        """ConfigError for an option that a file cannot follow."""
        keys = ("name", "text", "train_split", "val_split", "test_split")
        for key, given in zip(keys, (self.name, self.text, *self.splits), strict=True):
            if given is not None:
                what = f"data.{key}={given}, but a file has no rows"
                raise ConfigError(what, shown(self.path), f"leave data.{key} out")

    def of_file(self, file: Path) -> dict[str, Pieces]:
        """The parts of a file, cut between two characters."""
        size = file.stat().st_size
        if not size:
            raise DataError("the file is empty", str(file), "give a text")
        first, second = (boundary(file, at) for at in cuts(size, self.val, self.test))
        return {
            "train": partial(read, file, 0, first),
            "val": partial(read, file, first, second),
            "test": partial(read, file, second, size),
        }

    def of_rows(self, source: Source) -> dict[str, Pieces]:
        """The parts of a data set of the Hub, or of a folder in its layout."""
        from tasks.data.columns import find_column

        splits, parts = source.splits, source.parts
        features = splits[parts["train"]].features
        strings = ("string", "large_string")
        fits = [name for name, f in features.items() if getattr(f, "dtype", None) in strings]
        fits = ["text"] if "text" in fits else fits
        column = find_column(list(features), self.text, fits, "text", self.path)
        if getattr(features[column], "dtype", None) not in strings:
            what = f"the column {column} has no text"
            raise DataError(what, self.path, "give data.text=COLUMN")
        used = {part: splits[name].select_columns([column]) for part, name in parts.items()}
        missing = {part: getattr(self, part) for part in ("val", "test") if part not in parts}
        rows = used["train"]
        first, second = cuts(len(rows), missing.get("val", 0), missing.get("test", 0))
        among = {"val": range(first, second), "test": range(second, len(rows))}
        if missing:
            used |= {part: rows.select(among[part]) for part in missing if among[part]}
            used["train"] = rows.select(range(first))
        lost = [part for part in missing if part not in used]
        if lost or not first:
            what = f"{len(rows)} rows are too few for a share that is for {' and '.join(missing)}"
            raise DataError(what, self.path, "name other splits, or give a file")
        return {part: partial(lines, used[part], column) for part in ("train", "val", "test")}


class Shakespeare(TextFile):
    """The plays of Shakespeare that char-rnn and nanoGPT learn, 1.1 million characters.

    The training part is that of nanoGPT; validation and test are the halves of its validation.

    Source: Karpathy 2015, https://github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt

    Args:
        path: the file, or the folder of `input.txt`.
        tokens: `characters`, `bytes` or `bpe`.
        vocabulary: the most symbols of bpe.
        batch_size: windows of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        tokens: Kind = "characters",
        vocabulary: Size = 4096,
        batch_size: Batch = 16,
    ):
        super().__init__(path, tokens=tokens, vocabulary=vocabulary, batch_size=batch_size)

    def load(self) -> Text:
        folder = folder_at(self.path)
        self.path = str(folder / "input.txt") if folder.is_dir() else self.path
        return super().load()


class WikiText(TextFile):
    """Articles of Wikipedia, of the Hub or of a folder.

    Source: Merity et al. 2016, arXiv:1609.07843.

    Args:
        path: folder in the layout of `Salesforce/wikitext`; None: that data set of the Hub.
        name: which configuration.
        tokens: `characters`, `bytes` or `bpe`.
        vocabulary: the most symbols of bpe.
        batch_size: windows of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        name: str | None = "wikitext-103-raw-v1",
        tokens: Kind = "bytes",
        vocabulary: Size = 4096,
        batch_size: Batch = 16,
    ):
        path = path or "Salesforce/wikitext"
        super().__init__(path, name, tokens=tokens, vocabulary=vocabulary, batch_size=batch_size)
