"""Files that a verb reads and writes."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path

from zoo.errors import DataError


def images_in(path: Path) -> tuple[Path, list[Path]]:
    """A folder and the files in it and in its folders, hidden ones left out; or one file.

    Errors:
        DataError: there are none.
    """
    if not path.exists():
        raise DataError("no such file or folder", str(path), "give path=IMAGES")
    root = path if path.is_dir() else path.parent
    found = [path] if path.is_file() else sorted(root.rglob("*"))
    files = [file for file in found if file.is_file() and not hidden(file.relative_to(root))]
    if not files:
        raise DataError("no files", str(path), "give path=IMAGES")
    return root, files


def hidden(place: Path) -> bool:
    """Whether a name in a path begins with a dot."""
    return any(part.startswith(".") for part in place.parts)


def unused(place: Path, name: str, suffix: str = "") -> Path:
    """A path in a folder where nothing is yet: the name, or with a number behind it."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    paths = (place / f"{name}{suffix}" for name in names)
    return next(path for path in paths if not path.exists())
