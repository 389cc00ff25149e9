"""Data sets of the Hub, or folders in its layout, through `datasets`; they never run code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from tasks.data.cache import cache_folder, made
from tasks.data.folders import File, Folder, folder_at, shown, walk
from tasks.data.network import SECONDS, within
from tasks.data.raw import damage_at
from tasks.data.readme import described
from tasks.data.splits import Given
from tasks.data.tables import Splits, load_tables, placed
from zoo.errors import ConfigError, DataError, ZooError, as_zoo_error

LAYOUT = "put Parquet files or SPLIT/CLASS/IMAGE files there"
AGAIN = "run again, and it is fetched anew; or give data.path=FOLDER"
TEXTS = "put Parquet files, or train.txt, .csv or .jsonl there"


def local_tree(path: str) -> Folder | None:
    """What lies in a local folder; None for an id of the Hub.

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
    """All splits of a data set of the Hub.

    Args:
        path: its id.
        name: which configuration, where there are several.

    Errors:
        ConfigError: the configuration is not there or must be named.
        DataError: the Hub does not answer, or a file is broken.
    """
    return load(path, name, path) if answers(path) else cached(path, name)


def local_splits(
    path: str, tree: Folder, files: list[File], name: str | None, given: Given
) -> tuple[Splits, list[File]]:
    """All splits of a folder of tables, and the files that they are of.

    Args:
        path: the folder.
        tree: all that lies in it.
        files: the tables.
        name: which configuration, where there are several.
        given: names of splits that the user gives.

    Errors:
        ConfigError: the configuration is not there or must be named.
        DataError: a file is broken, or is of no split.
    """
    where = shown(path)
    with readable(where), quiet():
        from_readme = described(folder_at(path), tree, name)
        used, features = from_readme or (placed(files, given, name, where), None)
        splits = load_tables(used, features, where)
    read = [file for some in used.values() for file in some]
    return splits, read + [file for file in tree.files if from_readme and file.name == "README.md"]


def answers(path: str) -> bool:
    """Whether the Hub answers; DataError where it says that it has no such data set."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        within(SECONDS, lambda: HfApi().dataset_info(path, timeout=SECONDS))
    except (RepositoryNotFoundError, HFValidationError):
        what = "neither a folder nor a data set of the Hub that is open to you"
        raise DataError(what, path, "correct data.path, or log in to the Hub") from None
    except Exception:  # of the network, of many kinds
        return False
    return True


def load(source: str, name: str | None, path: str) -> Splits:
    """What `datasets` reads from the Hub, after the files that it fetched were checked."""
    from datasets import DownloadConfig, DownloadManager, load_dataset_builder
    from datasets.config import DATASET_INFO_FILENAME

    home = made(cache_folder("datasets"))
    with readable(path, AGAIN), quiet():
        builder = load_dataset_builder(source, name, cache_dir=str(home))
        if not Path(builder.cache_dir, DATASET_INFO_FILENAME).is_file():
            files = DownloadManager(download_config=DownloadConfig(use_etag=False))
            for fetched in files.download([*chain(*(builder.config.data_files or {}).values())]):
                refuse_damaged(Path(fetched), path)
        builder.download_and_prepare()
        return dict(builder.as_dataset())


def refuse_damaged(file: Path, path: str) -> None:
    """DataError for a file of the Hub's cache without the digest that it is named by there.

    It is removed, so that it is fetched anew. Its name is the SHA-256 that the Hub tells of a file,
    or the id that Git gives to a small one.
    """
    kept = file.resolve()
    if kept.parent.name == "blobs" and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", kept.name):
        wrong = damage_at(kept, kept.name)
        if wrong:
            kept.unlink()
            raise DataError(f"{file.name} {wrong}", path, AGAIN)


def cached(path: str, name: str | None) -> Splits:
    """What was downloaded before."""
    from datasets.packaged_modules.cache.cache import Cache

    cache, dataset = str(made(cache_folder("datasets"))), path.rpartition("/")[2]
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
    with readable(path), quiet():
        builder.download_and_prepare()
        return dict(builder.as_dataset())


@contextmanager
def readable(path: str, again: str = "copy it again") -> Iterator[None]:
    """Turns what `datasets` raises into one line.

    Args:
        path: of the data.
        again: what to do about a file that is broken.
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
    """No bars of `datasets` where stderr is no terminal, and no warnings of tries that failed."""
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
