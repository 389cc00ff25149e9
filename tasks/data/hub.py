"""Data sets of the Hub and folders in its layout, read by `datasets`; none of them runs code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from tasks.data.cache import cache_folder, writable
from tasks.data.folders import File, Folder, folder_at, walk
from tasks.data.network import SECONDS, answer_within
from tasks.data.phrases import shown
from tasks.data.raw import damage_at
from tasks.data.readme import readme_splits
from tasks.data.splits import SplitNames
from tasks.data.tables import Splits, load_tables, split_files
from zoo.errors import ConfigError, DataError, ZooError, as_zoo_error

LAYOUT = "put Parquet files or SPLIT/CLASS/IMAGE files there"
AGAIN = "run again, and it is fetched anew; or give data.path=FOLDER"
TEXTS = "put Parquet files, or train.txt, .csv or .jsonl there"


def local_tree(path: str) -> Folder | None:
    """The tree of a local folder; None for an id of the Hub.

    Errors:
        DataError: the path is a file or no such folder is there, or it cannot be read.
    """
    folder = folder_at(path)
    if folder.is_file():
        raise DataError("a file, not a folder", shown(path), "give data.path=FOLDER")
    if folder.is_dir():
        return walk(folder)
    if folder.is_absolute() or path.startswith(".") or path.count("/") > 1:
        raise DataError("no such folder", shown(path), "give data.path=FOLDER")
    return None


def hub_splits(path: str, name: str | None = None) -> Splits:
    """The splits of a data set of the Hub.

    Args:
        path: its id.
        name: which configuration, where there are several.

    Errors:
        ConfigError: the configuration is not there or must be named.
        DataError: the Hub does not answer, or a file is broken.
    """
    return download(path, name) if hub_answers(path) else cached_splits(path, name)


def local_splits(
    path: str, tree: Folder, files: list[File], name: str | None, split_names: SplitNames
) -> tuple[Splits, list[File]]:
    """The splits of a folder of tables, and the files that they were read from.

    Args:
        path: the folder.
        tree: all that lies in it.
        files: the tables.
        name: which configuration, where there are several.
        split_names: those that the user names.

    Errors:
        ConfigError: the configuration is not there or must be named.
        DataError: a file is broken, or is of no split.
    """
    where = shown(path)
    with one_line_errors(where), quiet():
        from_readme = readme_splits(folder_at(path), tree, name)
        used, features = from_readme or (split_files(files, split_names, name, where), None)
        splits = load_tables(used, features, where)
    read = [file for some in used.values() for file in some]
    return splits, read + [file for file in tree.files if from_readme and file.name == "README.md"]


def hub_answers(path: str) -> bool:
    """Whether the Hub answers; DataError where it answers that it has no such data set."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        answer_within(SECONDS, lambda: HfApi().dataset_info(path, timeout=SECONDS))
    except (RepositoryNotFoundError, HFValidationError):
        what = "neither a folder nor a data set of the Hub that is open to you"
        raise DataError(what, path, "correct data.path, or log in to the Hub") from None
    except Exception:  # of the network, of many kinds
        return False
    return True


def download(path: str, name: str | None) -> Splits:
    """The splits that `datasets` fetches from the Hub and reads; damaged files are refused.

    Args:
        path: id of the data set.
        name: which configuration, where there are several.
    """
    from datasets import DownloadConfig, DownloadManager, load_dataset_builder
    from datasets.config import DATASET_INFO_FILENAME

    cache = writable(cache_folder("datasets"))
    with one_line_errors(path, AGAIN), quiet():
        builder = load_dataset_builder(path, name, cache_dir=str(cache))
        if not Path(builder.cache_dir, DATASET_INFO_FILENAME).is_file():
            files = DownloadManager(download_config=DownloadConfig(use_etag=False))
            for fetched in files.download([*chain(*(builder.config.data_files or {}).values())]):
                refuse_damaged(Path(fetched), path)
        builder.download_and_prepare()
        return dict(builder.as_dataset())


def refuse_damaged(file: Path, path: str) -> None:
    """Removes a file of the Hub's cache whose digest is not its name there, with a DataError.

    Being removed, it is fetched anew. The Hub's cache names a file by its SHA-256, or a small one
    by the id that Git gives to it.
    """
    blob = file.resolve()
    if blob.parent.name == "blobs" and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", blob.name):
        wrong = damage_at(blob, blob.name)
        if wrong:
            blob.unlink()
            raise DataError(f"{file.name} {wrong}", path, AGAIN)


def cached_splits(path: str, name: str | None) -> Splits:
    """The splits of a data set of the Hub as they were downloaded before."""
    from datasets.packaged_modules.cache.cache import Cache

    cache, dataset = str(writable(cache_folder("datasets"))), path.rpartition("/")[2]
    try:
        builder = Cache(
            cache_dir=cache,
            dataset_name=dataset,
            config_name=name,
            version="auto",
            hash="auto",
            repo_id=path,
        )
    except (OSError, ValueError):
        what = "the Hub does not answer, and the data is not in the cache"
        fix = "connect, or give data.path=FOLDER"
        raise DataError(what, f"{path} (cache: {cache})", fix) from None
    with one_line_errors(path), quiet():
        builder.download_and_prepare()
        return dict(builder.as_dataset())


@contextmanager
def one_line_errors(path: str, again: str = "copy it again") -> Iterator[None]:
    """Turns an exception of `datasets` into a ConfigError or DataError of one line.

    Args:
        path: of the data, for messages.
        again: what to do about a broken file.
    """
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        root = error.__cause__ or error
        if as_zoo_error(root) is not root:
            raise root from error
        reason = f"{type(root).__name__}: {root}"[:300]
        if isinstance(error, ValueError) and "config" in str(error).lower():
            raise ConfigError(reason, path, "give data.name=CONFIGURATION") from None
        fix = LAYOUT if isinstance(error, FileNotFoundError | RuntimeError) else again
        raise DataError(f"cannot be read ({reason})", path, fix) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Silences warnings of the Hub, and bars of `datasets` where stderr is no terminal."""
    import sys

    from datasets.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    changes = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if changes:
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if changes:
            enable_progress_bars()
