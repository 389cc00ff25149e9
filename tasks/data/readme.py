"""Which files are of which split, where the head of a folder's README.md says so, as on the Hub."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from tasks.data.folders import File, Folder, shown
from zoo.errors import DataError


def described(
    root: Path, tree: Folder, name: str | None
) -> tuple[dict[str, list[File]], Any] | None:
    """The files of each split and the types of their columns, if told; None where nothing is said.

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
        places = {
            str(split): [os.path.relpath(path, link) for path in paths]
            for split, paths in builder.config.data_files.items()
        }
    known = {file.place: file for file in tree.all()}
    lost = [place for some in places.values() for place in some if place not in known]
    if lost:
        what = f"README.md names {shown(lost[0])}, which is no file of the folder"
        raise DataError(what, shown(root), "correct it")
    files = {split: [known[place] for place in some] for split, some in places.items()}
    return files, builder.info.features
