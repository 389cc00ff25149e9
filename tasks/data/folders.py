"""What lies in a folder: every file once, with links followed."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path

from tasks.data.phrases import shown
from zoo.errors import DataError
from zoo.system.paths import expanded

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")  # folders that systems leave behind


@dataclass(frozen=True)
class File:
    """A file of the data.

    Args:
        path: by which it is opened.
        relative: its path inside the data's folder.
        real: its path with all links followed.
    """

    path: str
    relative: str
    real: str

    @property
    def name(self) -> str:
        """The last name of its path."""
        return os.path.basename(self.path)


@dataclass
class Folder:
    """A folder of the data and all that lies in it.

    Args:
        relative: its path inside the data's folder; empty for that folder itself.
        files: those right in it, not in the folders inside it.
        folders: those right in it, by name.
        passed: relative paths of hidden files, hidden folders and what is no file: none is read.
    """

    relative: str
    files: list[File] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)

    def all(self) -> list[File]:
        """All files in the folder and in the folders inside it, in the order of their paths."""
        files = [*self.files]
        for folder in self.folders.values():
            files += folder.all()
        return sorted(files, key=lambda file: file.relative)

    def all_folders(self) -> list[Folder]:
        """The folder itself and all folders inside it."""
        return [self, *(each for inside in self.folders.values() for each in inside.all_folders())]

    def images(self) -> list[File]:
        """Those of `all()` whose names end as those of images do."""
        return [file for file in self.all() if is_image(file)]

    def all_passed(self) -> list[str]:
        """The relative paths of what is not read in the folder and in those inside it."""
        inside = (path for folder in self.folders.values() for path in folder.all_passed())
        return sorted([*self.passed, *inside])


def folder_at(path: str) -> Path:
    """The path that a user means: `~` is the home folder unless a file or folder bears that name.

    Errors:
        ConfigError: the path is empty, or there is no such home folder.
    """
    return Path(path if path and os.path.exists(path) else expanded(path, f"path={path}"))


def walk(root: Path, lost: dict[str, str] | None = None) -> Folder:
    """The tree of all that lies in a folder.

    Args:
        root: the folder.
        lost: collects the relative path of what cannot be read and the reason; None: that is an
            error.

    Errors:
        DataError: a folder cannot be read, or a link leads nowhere or to a folder above it.
    """
    return scan(str(root), "", os.path.realpath(root), (), lost)


def scan(
    path: str, relative: str, real: str, above: tuple[str, ...], lost: dict[str, str] | None
) -> Folder:
    """The tree of one folder inside the data.

    Args:
        path: by which it is opened.
        relative: its path inside the data's folder.
        real: its path with all links followed.
        above: such paths of the folders that it lies in.
        lost: as of `walk`.
    """
    folder = Folder(relative)
    try:
        with os.scandir(path) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        for entry in inside:
            inner = f"{relative}/{entry.name}" if relative else entry.name
            try:
                add(folder, entry, inner, real, (*above, real), lost)
            except (DataError, OSError) as error:
                if lost is None:
                    raise
                lost[inner] = getattr(error, "strerror", None) or str(error).partition(" -- ")[0]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        fix = "allow it to be read, or move it out of the data"
        raise DataError(f"cannot be read ({reason})", shown(error.filename or path), fix) from None
    return folder


def add(
    folder: Folder,
    entry: os.DirEntry[str],
    relative: str,
    real: str,
    above: tuple[str, ...],
    lost: dict[str, str] | None,
) -> None:
    """Adds one entry to the files, folders or passed paths of its folder.

    Args:
        folder: takes the entry.
        entry: as the system lists it.
        relative: its path inside the data's folder.
        real: path of the folder with all links followed.
        above: such paths of the folders that the entry lies in.
        lost: as of `walk`.
    """
    is_link, is_folder = entry.is_symlink(), entry.is_dir()
    if entry.name.startswith(".") or entry.name in SYSTEM:
        folder.passed.append(f"{relative}/" if is_folder else relative)
        return
    real_path = os.path.realpath(entry.path) if is_link else os.path.join(real, entry.name)
    if is_folder and real_path in above:
        what = f"the link leads back to {shown(real_path)}, in which it lies"
        raise DataError(what, shown(entry.path), "remove the link")
    if is_folder:
        folder.folders[entry.name] = scan(entry.path, relative, real_path, above, lost)
    elif entry.is_file():
        folder.files.append(File(entry.path, relative, real_path))
    elif is_link:
        what = f"the link leads nowhere: to {shown(os.readlink(entry.path))}"
        raise DataError(what, shown(entry.path), "correct or remove the link")
    else:
        folder.passed.append(relative)  # a socket or the like


@functools.cache
def suffixes() -> frozenset[str]:
    """The ends of the names of images, such as `.png`, in lower case."""
    from PIL import Image

    ends = Image.registered_extensions().items()
    return frozenset(end for end, kind in ends if kind in IMAGE_FORMATS)


def is_image(file: File) -> bool:
    """Whether a file's name ends as those of images do."""
    return os.path.splitext(file.name)[1].lower() in suffixes()
