"""What lies in a folder: every file once, links followed, nothing passed over without a word."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zoo import errors
from zoo.errors import DataError
from zoo.system.paths import expanded

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")  # folders that systems leave behind
SHOWN = 3  # names in a message


@dataclass(frozen=True)
class File:
    """A file of the data.

    Args:
        path: where it is opened.
        place: its path from the data's folder on.
        real: its path with all links followed.
    """

    path: str
    place: str
    real: str

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


@dataclass
class Folder:
    """A folder of the data and all that lies in it.

    Args:
        place: its path from the data's folder on; empty for that folder itself.
        files: in it, not in the folders inside it.
        folders: inside it, by name.
        passed: places of hidden files, hidden folders and what is no file.
    """

    place: str
    files: list[File] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)

    def all(self) -> list[File]:
        """The files in it and in all folders inside it, in the order of their paths."""
        files = [*self.files]
        for folder in self.folders.values():
            files += folder.all()
        return sorted(files, key=lambda file: file.place)

    def all_folders(self) -> list[Folder]:
        """It and all folders inside it."""
        return [self, *(each for inside in self.folders.values() for each in inside.all_folders())]

    def images(self) -> list[File]:
        """Those of them that are images by the ends of their names."""
        return [file for file in self.all() if is_image(file)]

    def all_passed(self) -> list[str]:
        """What is passed over in it and in all folders inside it."""
        inside = (place for folder in self.folders.values() for place in folder.all_passed())
        return sorted([*self.passed, *inside])


def folder_at(path: str) -> Path:
    """A user's path; `~` is the home folder unless a file or folder is called so.

    Errors:
        ConfigError: it is empty, or there is no such home folder.
    """
    return Path(path if path and os.path.exists(path) else expanded(path, f"path={path}"))


def walk(root: Path, lost: dict[str, str] | None = None) -> Folder:
    """All that lies in a folder.

    Args:
        root: the folder.
        lost: takes place and reason of what would be an error inside it; None: it is one.

    Errors:
        DataError: a folder cannot be read, a link leads nowhere or back to a folder above it.
    """
    return scan(str(root), "", os.path.realpath(root), (), lost)


def scan(
    path: str, place: str, real: str, above: tuple[str, ...], lost: dict[str, str] | None
) -> Folder:
    """The folder at a path.

    Args:
        path: where it is opened.
        place: from the data's folder on.
        real: its path with all links followed.
        above: likewise, of the folders that it lies in.
        lost: as of `walk`.
    """
    folder = Folder(place)
    try:
        with os.scandir(path) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        for entry in inside:
            where = f"{place}/{entry.name}" if place else entry.name
            try:
                add(folder, entry, where, real, (*above, real), lost)
            except (DataError, OSError) as error:
                if lost is None:
                    raise
                lost[where] = getattr(error, "strerror", None) or str(error).partition(" -- ")[0]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        fix = "allow it to be read, or move it out of the data"
        raise DataError(f"cannot be read ({reason})", shown(error.filename or path), fix) from None
    return folder


def add(
    folder: Folder,
    entry: os.DirEntry[str],
    where: str,
    real: str,
    above: tuple[str, ...],
    lost: dict[str, str] | None,
) -> None:
    """Puts an entry of a folder where it belongs."""
    is_link, is_folder = entry.is_symlink(), entry.is_dir()
    if entry.name.startswith(".") or entry.name in SYSTEM:
        folder.passed.append(f"{where}/" if is_folder else where)
        return
    real_path = os.path.realpath(entry.path) if is_link else os.path.join(real, entry.name)
    if is_folder and real_path in above:
        what = f"the link leads back to {shown(real_path)}, in which it lies"
        raise DataError(what, shown(entry.path), "remove the link")
    if is_folder:
        folder.folders[entry.name] = scan(entry.path, where, real_path, above, lost)
    elif entry.is_file():
        folder.files.append(File(entry.path, where, real_path))
    elif is_link:
        what = f"the link leads nowhere: to {shown(os.readlink(entry.path))}"
        raise DataError(what, shown(entry.path), "correct or remove the link")
    else:
        folder.passed.append(where)  # a socket or the like


@functools.cache
def suffixes() -> frozenset[str]:
    """The ends of the names of images, in small letters."""
    from PIL import Image

    ends = Image.registered_extensions().items()
    return frozenset(end for end, kind in ends if kind in IMAGE_FORMATS)


def is_image(file: File) -> bool:
    return os.path.splitext(file.name)[1].lower() in suffixes()


def shown(path: str | bytes | os.PathLike[str]) -> str:
    r"""A path as text that can be printed: other bytes and control characters are escaped.

    >>> shown(b"\xff and \x1b[31m") == r"\xff and \x1b[31m"
    True
    """
    return errors.shown(os.fsdecode(path))


def listed(names: Iterable[str]) -> str:
    """The first names of many.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    names = [shown(name) for name in names]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def counted(count: int, what: str) -> str:
    """
    >>> counted(1, "image"), counted(1200, "class")
    ('1 image', '1,200 classes')
    """
    ending = "" if count == 1 else "es" if what.endswith("s") else "s"
    return f"{count:,} {what}{ending}"


def unread(tree: Folder, used: Iterable[File], unused: Iterable[Folder]) -> Iterator[str]:
    """A note on the files of a tree that are neither used nor in a folder that is not used."""
    seen = {file.place for file in used}
    seen |= {file.place for folder in unused for file in folder.all()}
    rest = [file.place for file in tree.all() if file.place not in seen] + tree.all_passed()
    if rest:
        verb = "is" if len(rest) == 1 else "are"
        yield f"{counted(len(rest), 'other file')} {verb} not read: {listed(sorted(rest))}"
