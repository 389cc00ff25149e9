"""Examples whose images are files, as columns like those of a data set of the Hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.data.folders import File
from tasks.data.phrases import shown
from zoo.errors import DataError


@dataclass
class Rows:
    """The examples of one split.

    Args:
        columns: the values of each column, by its name; those of images are files.
        features: the types of the columns, as of `datasets`.
    """

    columns: dict[str, list[Any]]
    features: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, column: str) -> list[Any]:
        return self.columns[column]

    def files(self) -> Iterator[File]:
        """The files in all columns."""
        return (v for column in self.columns.values() for v in column if isinstance(v, File))


def feature_of(values: Sequence[Any]) -> Any:
    """The type of a column for `datasets`: Image for files, null for mixed values."""
    from datasets import Image, Value

    if any(isinstance(value, File) for value in values):
        return Image()
    kinds = {type(value).__name__ for value in values if value is not None}
    names = {"bool": "bool", "int": "int64", "float": "float64", "str": "string"}
    return Value(names.get("".join(kinds), "null"))


def refuse_repeats(files: Mapping[str, Iterable[Any]], where: str) -> None:
    """Raises DataError where one file is read twice, even by a link: by two splits, or in one.

    Args:
        files: of each split; values that are no files are passed over.
        where: for messages.
    """
    seen: dict[str, tuple[str, File]] = {}
    for split, some in files.items():
        for file in (file for file in some if isinstance(file, File)):
            if file.real in seen:
                before, first = seen[file.real]
                how = "by two splits" if before != split else "twice"
                what = f"one file is read {how}: {shown(first.relative)} and {shown(file.relative)}"
                raise DataError(what, where, "leave it in one place")
            seen[file.real] = split, file
