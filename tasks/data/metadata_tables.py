"""The tables `metadata.csv`, `.jsonl` and `.parquet`, whose rows name the files of examples."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from itertools import compress
from typing import Any

from tasks.data.folders import File, Folder
from tasks.data.metadata_formats import KEY, NAMES, read_table
from tasks.data.phrases import counted, listed, shown
from tasks.data.rows import Rows, feature_of
from zoo.errors import DataError


def metadata_rows(tree: Folder, used: Mapping[str, Folder], where: str) -> dict[str, Rows] | None:
    """The rows of each split, from a table at the top or in every split; None without tables.

    The column `file_name` names the image of each row by its path inside the table's folder; it
    becomes the column `image`, and every column `X_file_name` becomes `X`.

    Args:
        tree: the data's folder.
        used: the folders of the splits.
        where: for messages.

    Errors:
        DataError: a table cannot be read or is missing, a row names no file of its folder, or an
            image has no row.
    """
    tables = metadata_files(tree, used, where)
    if not tables:
        return None
    files = {file.relative: file for file in tree.all()}
    columns: dict[str, dict[str, list[Any]]] = {}
    for split, folder in used.items():
        every = with_files(tables[split], files)
        inside = f"{folder.relative}/" if folder.relative else ""
        of_split = [file.relative.startswith(inside) for file in every["image"]]
        columns[split] = {name: [*compress(values, of_split)] for name, values in every.items()}
        in_rows = {file.relative for file in Rows(columns[split]).files()}
        lost = [file.relative for file in folder.images() if file.relative not in in_rows]
        if lost:
            what = f"{counted(len(lost), 'image')} without a row in {tables[split].relative}"
            raise DataError(f"{what}: {listed(lost)}", where, "add rows, or move them away")
    names = {split: sorted(named) for split, named in columns.items()}
    if len({*map(tuple, names.values())}) > 1:
        listing = "; ".join(f"{shown(split)} {', '.join(named)}" for split, named in names.items())
        raise DataError(f"splits differ in columns: {listing}", where, "give all the same columns")
    kinds = {}
    for name in next(iter(columns.values())):
        values = [value for named in columns.values() for value in named[name]]
        kinds[name] = feature_of(values)
    return {split: Rows(named, kinds) for split, named in columns.items()}


def metadata_files(tree: Folder, used: Mapping[str, Folder], where: str) -> dict[str, File]:
    """The table of each split; empty where there is no table at all.

    Errors:
        DataError: a split has none or two, or a table lies deeper inside.
    """
    every = {file: None for folder in used.values() for file in folder.all()}
    every |= dict.fromkeys(tree.files)
    tables = [file for file in every if file.name in NAMES]
    tables_of = {
        split: [file for file in tables if file in (*folder.files, *tree.files)]
        for split, folder in used.items()
    }
    of_splits = {file for files in tables_of.values() for file in files}
    deeper = [file.relative for file in tables if file not in of_splits]
    if deeper or (tables and {len(files) for files in tables_of.values()} != {1}):
        counts = [f"{len(files)} for {shown(split)}" for split, files in tables_of.items()]
        what = f"{', '.join(counts)}" + (f", others deeper inside: {listed(deeper)}" * bool(deeper))
        fix = "put one at the top, or one into each split folder"
        raise DataError(f"tables of metadata: {what}", where, fix)
    return {split: files[0] for split, files in tables_of.items()} if tables else {}


def with_files(table: File, files: Mapping[str, File]) -> dict[str, list[Any]]:
    """The columns of a table, every name of a file replaced by the file.

    Args:
        table: its file.
        files: all files of the data by their relative paths.
    """
    columns = {}
    folder = posixpath.dirname(table.relative)
    for name, values in read_table(table).items():
        short = name
        if name == KEY or name.endswith(f"_{KEY}"):
            short = name.removesuffix(KEY).removesuffix("_") or "image"
            values = [file_of_row(v, folder, files, table, n) for n, v in enumerate(values, 1)]
        if short in columns:
            what = f"two columns are {short}"
            raise DataError(what, shown(table.path), "rename one of them")
        columns[short] = values
    return columns


def file_of_row(
    value: Any, folder: str, files: Mapping[str, File], table: File, number: int
) -> File:
    """The file that a row names; DataError where the table's folder has no such file.

    Args:
        value: what the row says.
        folder: relative path of the table's folder.
        files: all files of the data by their relative paths.
        table: the file of the table.
        number: of the row, from 1.
    """
    if not isinstance(value, str):
        what = f"row {number} names no file ({value!r})"
        raise DataError(what, shown(table.path), "name one, or remove the row")
    for path in (value, value.replace("\\", "/")):
        inner = posixpath.normpath(path)
        if inner.startswith(("/", "../")) or inner == "..":
            what = f"row {number} leaves the folder: {shown(value)}"
            raise DataError(what, shown(table.path), "move the file in, beside the table")
        file = files.get(posixpath.join(folder, inner))
        if file is not None:
            return file
    what = f"row {number} names a file that is not there: {shown(value)}"
    raise DataError(what, shown(table.path), "correct or remove the row")
