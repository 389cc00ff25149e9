"""The files of each split as the head of a folder's README.md lists them, as on the Hub."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from tasks.data.folders import File, Folder
from tasks.data.phrases import shown
from zoo.errors import DataError


def readme_splits(
    root: Path, tree: Folder, name: str | None
) -> tuple[dict[str, list[File]], Any] | None:
    """The files of each split and the types of their columns; None where the head lists no files.

    Args:
        root: the folder.
        tree: all that lies in it.
        name: the configuration, where there are several.

    Errors:
        DataError: the head cannot be read, or names what is no file of the folder.
    """
    from datasets import load_dataset_builder
    from huggingface_hub import metadata_load

    readme = root / "README.md"
    try:
        about = metadata_load(readme) if readme.is_file() else None
    except Exception as error:  # of YAML, of many kinds
        what = f"the head of README.md cannot be read ({type(error).__name__})"
        raise DataError(what, shown(root), "correct it, or remove the file") from None
    if not about or "configs" not in about:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        link = Path(scratch, "data")  # since `datasets` takes brackets in a path for patterns
        link.symlink_to(root.resolve())
        builder = load_dataset_builder(str(link), name, cache_dir=scratch)
        paths_of = {
            str(split): [os.path.relpath(path, link) for path in paths]
            for split, paths in builder.config.data_files.items()
        }
    by_path = {file.relative: file for file in tree.all()}
    lost = [path for some in paths_of.values() for path in some if path not in by_path]
    if lost:
        what = f"README.md names {shown(lost[0])}, which is no file of the folder"
        raise DataError(what, shown(root), "correct it")
    files = {split: [by_path[path] for path in some] for split, some in paths_of.items()}
    return files, builder.info.features
