"""Examples whose images are files, as columns like those of a data set of the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.data.folders import File, counted, shown
from zoo.errors import DataError


@dataclass
class Rows:
    """The examples of one split.

    Args:
        columns: the values of each column; those of images are files.
        features: the types of the columns, as of `datasets`.
    """

    columns: dict[str, list[Any]]
    features: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, column: str) -> list[Any]:
        return self.columns[column]

    def files(self) -> Iterator[File]:
        """All files of all columns."""
        return (v for column in self.columns.values() for v in column if isinstance(v, File))


def feature_of(values: Sequence[Any]) -> Any:
    """The type of a column: images for files, null for what is neither number nor word."""
    from datasets import Image, Value

    if any(isinstance(value, File) for value in values):
        return Image()
    kinds = {type(value).__name__ for value in values if value is not None}
    names = {"bool": "bool", "int": "int64", "float": "float64", "str": "string"}
    return Value(names.get("".join(kinds), "null"))


def refuse_repeats(
    used: Mapping[str, Any], column: str, targets: Mapping[str, Sequence[Any]], where: str
) -> Iterator[str]:
    """A note on files that are in one split twice; also by links, a file is one file.

    Args:
        used: the splits.
        column: of the images.
        targets: for each split, what is to be learned of each of its images.
        where: for messages.

    Errors:
        DataError: a file is in two splits, or twice with different targets.
    """
    seen: dict[str, tuple[str, Any, File]] = {}
    repeats = 0
    for split, rows in used.items():
        files = rows[column] if isinstance(rows, Rows) else []
        for file, target in zip(files, targets[split] if files else [], strict=True):
            if not isinstance(file, File):
                continue
            before = seen.setdefault(file.real, (split, target, file))
            repeats += before[2] is not file
            if before[:2] != (split, target):
                both = f"{shown(before[2].place)} and {shown(file.place)}"
                means = "in two parts" if before[0] != split else "with two targets"
                what = f"one file is read twice, {means}: {both}"
                raise DataError(what, where, "leave it in one place")
    if repeats:
        yield f"{counted(repeats, 'image')} are read twice, by links or rows of the same file"
