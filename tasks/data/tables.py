"""Parquet files and other tables of a folder: their splits, read and cached by their contents."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.data.cache import cache_folder, writable
from tasks.data.folders import File, Folder
from tasks.data.phrases import listed, shown
from tasks.data.rows import refuse_repeats
from tasks.data.shards import filled, refuse_broken
from tasks.data.splits import SplitNames, has_word, part_of, same_name
from zoo.errors import ConfigError, DataError, suggest

if TYPE_CHECKING:
    from datasets import Dataset

Splits = dict[str, "Dataset"]
KINDS = {
    ".parquet": "parquet",
    ".jsonl": "json",
    ".json": "json",
    ".csv": "csv",
    ".txt": "text",
}
ABOUT = ("config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json")
SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}(-.*)?")  # the Hub's names of files
NUMBERED = re.compile(r"(.+?)[-_.]?\d*")  # train_0, train1


def tables_in(tree: Folder, kinds: Iterable[str] = ("parquet",)) -> list[File]:
    """The tables of a folder: its Parquet files, or else those of its only other kind.

    Args:
        tree: the folder.
        kinds: those that are read, by the names of `datasets`.

    Errors:
        DataError: there are several kinds and none of them is Parquet.
    """
    files: dict[str, list[File]] = {}
    for file in tree.all():
        kind = KINDS.get(os.path.splitext(file.name)[1].lower(), "")
        if kind in kinds and file.name not in (*ABOUT, "metadata.parquet"):
            files.setdefault(kind, []).append(file)
    if len(files) > 1 and "parquet" not in files:
        what = f"several kinds of tables: {listed(some[0].relative for some in files.values())}"
        raise DataError(what, shown(tree.relative) or "data.path", "leave files of one kind there")
    return files.get("parquet") or next(iter(files.values()), [])


def split_files(
    files: list[File], split_names: SplitNames, name: str | None, where: str
) -> dict[str, list[File]]:
    """The files of each split, as the folder `SPLIT/` or the name `SPLIT-00000-of-00001` says.

    Where no path says a split, all files are for training.

    Args:
        files: the tables.
        split_names: those that the user names.
        name: the configuration; None: there is only one.
        where: for messages.

    Errors:
        ConfigError: the configuration does not exist or must be named.
        DataError: a path says no split while others do, or although its name has a word for one.
    """
    by_split: dict[str, list[File]] = {}
    rest = []
    for file, path in configuration_paths(files, split_names, name, where).items():
        split = split_of(path, split_names)
        if split is None:
            rest.append(file)
        else:
            by_split.setdefault(split, []).append(file)
    likely = [file for file in rest if has_word(file.name)]
    if rest and (by_split or likely):
        what = f"no split is told by {listed(file.relative for file in likely or rest)}"
        end = os.path.splitext(rest[0].name)[1]
        raise DataError(what, where, f"name them train{end}, test{end} ..., or move them away")
    return by_split or {"train": rest}


def configuration_paths(
    files: list[File], split_names: SplitNames, name: str | None, where: str
) -> dict[File, list[str]]:
    """The files of one configuration, each with the names in its path inside it or `data/`.

    A configuration is a folder at the top that is neither a split nor called `data`. Arguments are
    those of `split_files`.

    Errors:
        ConfigError: it does not exist, or there are several and none is named.
    """
    paths = {file: file.relative.split("/") for file in files}
    tops = {path[0] if len(path) > 1 else "" for path in paths.values()}
    names = sorted(
        top for top in tops if top not in ("", "data") and not is_split(top, split_names)
    )
    if name is not None and name not in names:
        fix = suggest(name, names) if names else "leave it null"
        raise ConfigError(f"no configuration {name!r}", f"{where} data.name=", fix)
    if name is None and names and tops != {*names[:1]}:
        beside = listed(f"{top}/" if top else "the folder itself" for top in sorted(tops))
        fix = f"give data.name={'|'.join(map(shown, names))}, or make folders train/ and test/"
        raise ConfigError(f"tables in {beside}", where, fix)
    around = {name or next(iter(names), None), "data"}
    return {
        file: path[1:] if len(path) > 1 and path[0] in around else path
        for file, path in paths.items()
        if name is None or path[0] == name
    }


def is_split(name: str, split_names: SplitNames) -> bool:
    """Whether a name stands for a part, or is that of a split that the user names."""
    return bool(part_of(name) or same_name(name, filter(None, split_names)))


def split_of(path: list[str], split_names: SplitNames) -> str | None:
    """The split that the names in a file's path say, or None."""
    if len(path) > 1:
        return path[0] if is_split(path[0], split_names) else None
    stem = os.path.splitext(path[0])[0]
    shard = SHARD.fullmatch(stem)
    if shard:
        return shard[1]
    numbered = NUMBERED.fullmatch(stem)
    names = (stem, numbered[1] if numbered else stem)
    return next((name for name in names if is_split(name, split_names)), None)


def load_tables(files: Mapping[str, list[File]], features: Any, where: str) -> Splits:
    """Reads the files of each split by `datasets`, which caches them by their contents.

    It sees links with plain names, since it takes brackets in a path for patterns.

    Args:
        files: of each split.
        features: the types of the columns; None: as the files have them.
        where: for messages.

    Errors:
        DataError: a file is in two splits, or is a broken Parquet file.
    """
    from datasets import load_dataset

    refuse_repeats(files, where)
    first = next(file for some in files.values() for file in some)
    kind = KINDS.get(os.path.splitext(first.name)[1].lower())
    if kind is None:
        what = f"{shown(first.relative)} is no table that can be read"
        raise DataError(what, where, f"give {', '.join(KINDS)}")
    if kind == "parquet":
        files = {split: filled(some, where) for split, some in files.items()}
    cache = writable(cache_folder("datasets", f"{kind}-{digest_of(files)}"))
    links: dict[str, list[str]] = {}
    for number, some in enumerate(files.values()):
        links[f"split{number}"] = []
        for index, file in enumerate(some):
            link = cache / f"{number}-{index:05}{os.path.splitext(file.name)[1].lower()}"
            relink(link, file.real)
            links[f"split{number}"].append(glob.escape(str(link)))
    try:
        splits = load_dataset(kind, data_files=links, cache_dir=str(cache), features=features)
    except Exception:
        if kind == "parquet":
            refuse_broken(chain.from_iterable(files.values()), where)
        raise
    return {name: splits[f"split{number}"] for number, name in enumerate(files)}


def digest_of(files: Mapping[str, list[File]]) -> str:
    """The first 24 digits of the SHA-256 of all splits, relative paths and contents."""
    digest = hashlib.sha256()
    for split, some in files.items():
        for file in some:
            with open(file.path, "rb") as content:
                inside = hashlib.file_digest(content, "sha256").hexdigest()
            digest.update(os.fsencode(f"{split}\0{file.relative}\0{inside}\0"))
    return digest.hexdigest()[:24]


def relink(link: Path, target: str) -> None:
    """Makes a link or changes its target, such that it is whole at every moment."""
    if link.is_symlink() and os.readlink(link) == target:
        return
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)
