"""Folders of Parquet files and other tables: which is of which split, and caches by content."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.data.cache import cache_folder, made
from tasks.data.folders import File, Folder, listed, shown
from tasks.data.rows import refuse_repeats
from tasks.data.splits import Given, has_word, part_of, same_name
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
    """The tables of a folder, of the first kind that is there.

    Errors:
        DataError: there are several kinds and none of them is Parquet.
    """
    files: dict[str, list[File]] = {}
    for file in tree.all():
        kind = KINDS.get(os.path.splitext(file.name)[1].lower(), "")
        if kind in kinds and file.name not in (*ABOUT, "metadata.parquet"):
            files.setdefault(kind, []).append(file)
    if len(files) > 1 and "parquet" not in files:
        what = f"several kinds of tables: {listed(some[0].place for some in files.values())}"
        raise DataError(what, shown(tree.place) or "data.path", "leave files of one kind there")
    return files.get("parquet") or next(iter(files.values()), [])


def placed(files: list[File], given: Given, name: str | None, where: str) -> dict[str, list[File]]:
    """The files of each split, by the folder `SPLIT/` or the name `SPLIT-00000-of-00001`.

    Where no file tells its split, all are for training.

    Args:
        files: the tables.
        given: names of splits that the user gives.
        name: the configuration.
        where: for messages.

    Errors:
        ConfigError: the configuration is not there or must be named.
        DataError: a file tells no split where others do, or where its name has a word for one.
    """
    by_split: dict[str, list[File]] = {}
    rest = []
    for file, path in configured(files, given, name, where).items():
        split = split_of(path, given)
        if split is None:
            rest.append(file)
        else:
            by_split.setdefault(split, []).append(file)
    likely = [file for file in rest if has_word(file.name)]
    if rest and (by_split or likely):
        what = f"no split is told by {listed(file.place for file in likely or rest)}"
        end = os.path.splitext(rest[0].name)[1]
        raise DataError(what, where, f"name them train{end}, test{end} ..., or move them away")
    return by_split or {"train": rest}


def configured(
    files: list[File], given: Given, name: str | None, where: str
) -> dict[File, list[str]]:
    """The files of a configuration, each with its path inside that and inside `data/`.

    A configuration is a folder at the top that is neither a split nor called `data`.

    Errors:
        ConfigError: it is not there, or there are several and none is named.
    """
    paths = {file: file.place.split("/") for file in files}
    tops = {path[0] if len(path) > 1 else "" for path in paths.values()}
    names = sorted(top for top in tops if top not in ("", "data") and not is_split(top, given))
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


def is_split(name: str, given: Given) -> bool:
    """Whether a name is a word for a part, or given by the user."""
    return bool(part_of(name) or same_name(name, filter(None, given)))


def split_of(path: list[str], given: Given) -> str | None:
    """The split that a file's path inside the data tells, if any."""
    if len(path) > 1:
        return path[0] if is_split(path[0], given) else None
    stem = os.path.splitext(path[0])[0]
    shard = SHARD.fullmatch(stem)
    if shard:
        return shard[1]
    numbered = NUMBERED.fullmatch(stem)
    names = (stem, numbered[1] if numbered else stem)
    return next((name for name in names if is_split(name, given)), None)


def load_tables(files: Mapping[str, list[File]], features: Any, where: str) -> Splits:
    """What `datasets` reads from the files of each split, cached by their contents.

    It is given links without odd names, since it takes brackets in a path for patterns.

    Args:
        files: of each split.
        features: types of the columns, where they are told.
        where: for messages.

    Errors:
        DataError: a file is in two splits.
    """
    from datasets import load_dataset

    refuse_repeats(files, where)
    first = next(file for some in files.values() for file in some)
    kind = KINDS.get(os.path.splitext(first.name)[1].lower())
    if kind is None:
        what = f"{shown(first.place)} is no table that can be read"
        raise DataError(what, where, f"give {', '.join(KINDS)}")
    home = made(cache_folder("datasets", f"{kind}-{digest_of(files)}"))
    links: dict[str, list[str]] = {}
    for number, some in enumerate(files.values()):
        links[f"split{number}"] = []
        for index, file in enumerate(some):
            link = home / f"{number}-{index:05}{os.path.splitext(file.name)[1].lower()}"
            relink(link, file.real)
            links[f"split{number}"].append(glob.escape(str(link)))
    splits = load_dataset(kind, data_files=links, cache_dir=str(home), features=features)
    return {name: splits[f"split{number}"] for number, name in enumerate(files)}


def digest_of(files: Mapping[str, list[File]]) -> str:
    """SHA-256 over splits, places and contents, cut to 24 digits."""
    digest = hashlib.sha256()
    for split, some in files.items():
        for file in some:
            with open(file.path, "rb") as content:
                inside = hashlib.file_digest(content, "sha256").hexdigest()
            digest.update(os.fsencode(f"{split}\0{file.place}\0{inside}\0"))
    return digest.hexdigest()[:24]


def relink(link: Path, target: str) -> None:
    """Makes a link, or leads it to another target, whole at every moment."""
    if link.is_symlink() and os.readlink(link) == target:
        return
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)
