"""The splits of a data set that are used, from files, tables or the Hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tasks.data.folders import Folder
from tasks.data.hub import LAYOUT, TEXTS, hub_splits, local_splits, local_tree
from tasks.data.metadata_formats import NAMES
from tasks.data.notes import unread
from tasks.data.phrases import listed, shown
from tasks.data.rows import Rows
from tasks.data.splits import SplitNames, find_parts, split_folders, unused_splits
from tasks.data.tables import KINDS, tables_in
from zoo.errors import ConfigError, DataError

Folders = Mapping[str, Folder]  # of the splits
ReadRows = Callable[[Folder, Folders, str], dict[str, Rows]]


@dataclass
class UsedSplits:
    """The splits that are used, and the part that each is for.

    Args:
        splits: by name; `Rows`, or data sets of `datasets`.
        parts: the name of the split of `train`, and of `val` and `test` where they are no shares of
            it.
        notes: on what is not used, a line each.
    """

    splits: dict[str, Any]
    parts: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def files(self, column: str) -> dict[str, list[Any]]:
        """The files of a column in each split; empty where the splits are tables."""
        splits = self.splits.items()
        return {split: rows[column] for split, rows in splits if isinstance(rows, Rows)}

    def part_examples(self, readable: Tensor) -> dict[str, Tensor]:
        """The numbers `[n]` long of each part's examples, counting readable ones alone.

        Args:
            readable: `[N]` bool, for the examples of all splits one after the other.
        """
        sizes = torch.tensor([len(rows) for rows in self.splits.values()])
        split = torch.arange(len(sizes)).repeat_interleave(sizes)[readable]
        numbers = {name: (split == i).nonzero().flatten() for i, name in enumerate(self.splits)}
        return {part: numbers[name] for part, name in self.parts.items()}


def find_splits(
    path: str,
    name: str | None,
    split_names: SplitNames,
    read_rows: ReadRows | None = None,
    more_notes: Callable[[Folder, Folders], Iterator[str]] = lambda tree, folders: iter(()),
) -> UsedSplits:
    """The splits of a folder or of a data set of the Hub, and the parts that they are for.

    Args:
        path: a folder, else an id of the Hub.
        name: which configuration, where there are several.
        split_names: those that the user names.
        read_rows: reads the split folders of a tree of images; None: only tables are read.
        more_notes: notes on the split folders of a tree of images.

    Errors:
        ConfigError: a split or configuration does not exist.
        DataError: the folder cannot be read, or it is not clear what a file of it is for.
    """
    where, tree = shown(path), local_tree(path)
    if tree is None:
        splits = hub_splits(path, name)
        return used_of(splits, find_parts(splits, *split_names, where), [])
    tables = tables_in(tree, ["parquet"] if read_rows else KINDS.values())
    images = tree.images() if read_rows else []
    if tables and images:
        both = f"{shown(tables[0].relative)} and {shown(images[0].relative)}"
        what = f"both Parquet files and images: {both}"
        raise DataError(what, where, "leave one of the two kinds there")
    if tables:
        splits, read = local_splits(path, tree, tables, name, split_names)
        parts = find_parts(splits, *split_names, where)
        return used_of(splits, parts, [*unread(tree, read, [])])
    if read_rows is None or not images:
        inside = listed([file.relative for file in tree.all()] + tree.all_passed()) or "nothing"
        kinds = "images and no Parquet files" if read_rows else "tables"
        raise DataError(f"no {kinds}, but {inside}", where, LAYOUT if read_rows else TEXTS)
    if name is not None:
        what = f"no configuration {name!r} in a folder of images"
        raise ConfigError(what, where, "give data.name=null")
    folders = split_folders(tree, split_names, where)
    parts = find_parts(folders, *split_names, where)
    used = {split: folders[split] for split in parts.values()}
    rows = read_rows(tree, used, where)
    read = [file for some in rows.values() for file in some.files()]
    read += [file for file in tree.all() if file.name in NAMES]
    rest = [folder for split, folder in folders.items() if split not in used]
    notes = [*unused_splits(folders, parts), *more_notes(tree, used), *unread(tree, read, rest)]
    return UsedSplits(dict(rows), parts, notes)


def used_of(splits: Mapping[str, Any], parts: dict[str, str], notes: list[str]) -> UsedSplits:
    """The splits that are for a part, with a note on every other one before other notes."""
    used = {split: splits[split] for split in parts.values()}
    return UsedSplits(dict(used), parts, [*unused_splits(splits, parts), *notes])
