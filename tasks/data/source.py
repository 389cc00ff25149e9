"""One data set, from files, tables or the Hub: its splits, their parts and notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tasks.data.folders import Folder, listed, shown, unread
from tasks.data.hub import LAYOUT, TEXTS, hub_splits, local_splits, local_tree
from tasks.data.metadata import NAMES
from tasks.data.rows import Rows
from tasks.data.splits import Given, find_parts, split_folders, unused_splits
from tasks.data.tables import KINDS, tables_in
from zoo.errors import ConfigError, DataError

Used = Mapping[str, Folder]
Layout = Callable[[Folder, Used, str], dict[str, Rows]]


@dataclass
class Source:
    """The splits that are used.

    Args:
        splits: by name; `Rows`, or data sets of `datasets`.
        parts: the name of the split that `train` takes; likewise `val` and `test`, where they are
            no shares of it.
        notes: what is not used.
    """

    splits: dict[str, Any]
    parts: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def files(self, column: str) -> dict[str, list[Any]]:
        """The files of a column in each split; none where the splits are tables."""
        splits = self.splits.items()
        return {split: rows[column] for split, rows in splits if isinstance(rows, Rows)}

    def places(self, kept: Tensor) -> dict[str, Tensor]:
        """The numbers of each part's examples among those that are kept, of all in order.

        Args:
            kept: `[N]` bool, over all splits one after the other.
        """
        sizes = torch.tensor([len(rows) for rows in self.splits.values()])
        split = torch.arange(len(sizes)).repeat_interleave(sizes)[kept]
        numbers = {name: (split == i).nonzero().flatten() for i, name in enumerate(self.splits)}
        return {part: numbers[name] for part, name in self.parts.items()}


def find_source(
    path: str,
    name: str | None,
    given: Given,
    layout: Layout | None = None,
    more: Callable[[Folder, Used], Iterator[str]] = lambda tree, used: iter(()),
) -> Source:
    """The splits of a folder or of a data set of the Hub.

    Args:
        path: a folder, else an id of the Hub.
        name: which configuration, where there are several.
        given: names of splits that the user gives.
        layout: reads the splits of a folder of images; None: there are tables only, of any kind.
        more: notes on the folders of such splits.

    Errors:
        ConfigError: a split or configuration is not there.
        DataError: the folder cannot be read, or holds something that no rule places.
    """
    where, tree = shown(path), local_tree(path)
    if tree is None:
        splits = hub_splits(path, name)
        parts = find_parts(splits, *given, where)
        return chosen(splits, parts, [])
    tables = tables_in(tree, ["parquet"] if layout else KINDS.values())
    images = tree.images() if layout else []
    if tables and images:
        what = (
            f"both Parquet files and images: {shown(tables[0].place)} and {shown(images[0].place)}"
        )
        raise DataError(what, where, "leave one of the two kinds there")
    if tables:
        splits, read = local_splits(path, tree, tables, name, given)
        parts = find_parts(splits, *given, where)
        return chosen(splits, parts, [*unread(tree, read, [])])
    if layout is None or not images:
        inside = listed([file.place for file in tree.all()] + tree.all_passed()) or "nothing"
        kinds = "images and no Parquet files" if layout else "tables"
        raise DataError(f"no {kinds}, but {inside}", where, LAYOUT if layout else TEXTS)
    if name is not None:
        what = f"no configuration {name!r} in a folder of images"
        raise ConfigError(what, where, "give data.name=null")
    folders = split_folders(tree, given, where)
    parts = find_parts(folders, *given, where)
    used = {split: folders[split] for split in parts.values()}
    rows = layout(tree, used, where)
    read = [file for some in rows.values() for file in some.files()]
    read += [file for file in tree.all() if file.name in NAMES]
    rest = [folder for split, folder in folders.items() if split not in used]
    notes = [*unused_splits(folders, parts), *more(tree, used), *unread(tree, read, rest)]
    return Source(dict(rows), parts, notes)


def chosen(splits: Mapping[str, Any], parts: dict[str, str], notes: list[str]) -> Source:
    """The splits that have a part, and a note on the others."""
    used = {split: splits[split] for split in parts.values()}
    return Source(dict(used), parts, [*unused_splits(splits, parts), *notes])
