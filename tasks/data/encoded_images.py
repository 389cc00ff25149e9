"""The encoded images of a column, over all splits of a data set, one after the other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.data.columns import Split
from tasks.data.encoded import Encoded
from tasks.data.folders import File
from tasks.data.remembered import contents_of
from tasks.data.rows import Rows

if TYPE_CHECKING:
    from datasets import Dataset

AT_ONCE = 256  # images of a table that are read at once


class EncodedImages:
    """The encoded images of a column, which can be read again and again.

    Args:
        splits: by name.
        column: of the images.
    """

    def __init__(self, splits: Mapping[str, Split], column: str):
        self.splits, self.column = splits, column

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def __iter__(self) -> Iterator[Encoded]:
        for split, data in self.splits.items():
            for number, content in enumerate(self.contents(data)):
                yield Encoded(content, split, number)

    def __getitem__(self, number: int) -> Encoded:
        """The image of a number from 0."""
        for split, data in self.splits.items():
            if number < len(data):
                return Encoded(next(self.contents(data, [number])), split, number)
            number -= len(data)
        raise IndexError("no such image")

    def contents(self, data: Split, only: list[int] | None = None) -> Iterator[Any]:
        """The images of one split, all or only some: files, or mappings with `bytes` and `path`."""
        from datasets import Image

        if isinstance(data, Rows):
            values = data[self.column]
            yield from values if only is None else [values[number] for number in only]
            return
        images = data.select_columns([self.column])
        images = images if only is None else images.select(only)
        if isinstance(data.features[self.column], Image):
            images = images.cast_column(self.column, Image(decode=False))
        for batch in images.iter(batch_size=AT_ONCE):
            yield from batch[self.column]

    def content_name(self) -> str:
        """A text that is another one once a split, its order or one of its images has changed.

        Tables bear the name that `datasets` gives to their content. Files, also those that a table
        names instead of an image, are read for it, once as long as they stay as they are.
        """
        names = [f"{split} {len(data)} {self.name_of(data)}" for split, data in self.splits.items()]
        return " ".join([self.column, *names])

    def name_of(self, data: Split) -> str:
        """The part of `content_name` that is of one split."""
        if isinstance(data, Rows):
            files = [value for value in data[self.column] if isinstance(value, File)]
            names, paths = [file.relative for file in files], [file.path for file in files]
        else:
            paths = paths_in(data, self.column)
            names = [data._fingerprint, *paths]
        known = contents_of([Path(path) for path in paths if os.path.isfile(path)])
        return hashlib.sha256(os.fsencode("\0".join([known, *names]))).hexdigest()


def paths_in(data: Dataset, column: str) -> list[str]:
    """The paths of those images of a table whose bytes are not in it."""
    import pyarrow.compute as compute

    cells = data.select_columns([column]).with_format("arrow")[:].column(column)
    if not {"bytes", "path"} <= {field.name for field in getattr(cells.type, "fields", [])}:
        return []
    content, paths = (compute.struct_field(cells, name) for name in ("bytes", "path"))
    return paths.filter(compute.is_null(content)).drop_null().to_pylist()
