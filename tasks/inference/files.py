"""Files that a verb reads and writes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

from tasks.data.folders import File, folder_at, walk
from tasks.data.phrases import listed, shown
from zoo.errors import FULL, ConfigError, DataError

SHOWN = 20  # files of each kind that are named in a text


@dataclass
class InputFiles:
    """The files that a verb is asked about, and what among them it cannot answer.

    Args:
        folders: in which they lie, with all links followed.
        files: in the order of their paths.
        bad: what cannot be answered, each with its reason.
        passed: paths of hidden files and folders, and of what is no file.
    """

    folders: list[str]
    files: list[File]
    bad: list[dict[str, str]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def add_unreadable(self, file: File, reason: str) -> None:
        """Notes that a file cannot be answered."""
        self.bad.append({"file": shown(file.path), "reason": shown(reason)})

    def record(self) -> dict[str, list[dict[str, str]] | list[str]]:
        """Returns what has no answer, for JSON."""
        return {"bad": self.bad, "passed": [shown(path) for path in self.passed]}

    def lines(self) -> list[str]:
        """Returns what has no answer, as lines to read."""
        lines = [f"cannot be read: {e['file']} ({e['reason']})" for e in self.bad[:SHOWN]]
        lines += [f"... and {len(self.bad) - SHOWN} more"] if len(self.bad) > SHOWN else []
        return lines + (
            [f"hidden or no file, not read: {listed(self.passed)}"] if self.passed else []
        )


def images_in(path: Path) -> InputFiles:
    """Returns the files in a folder and in its folders, links followed; or one file.

    Errors:
        DataError: there are none.
    """
    if not path.exists():
        raise DataError("no such file or folder", shown(path), "give path=IMAGES")
    if path.is_file():
        real = os.path.realpath(path)
        return InputFiles([os.path.realpath(path.parent)], [File(str(path), path.name, real)])
    unreadable: dict[str, str] = {}
    tree = walk(path, unreadable)
    files = tree.all()
    if not files and not unreadable:
        raise DataError("no files", shown(path), "give path=IMAGES")
    bad = [{"file": shown(path / name), "reason": why} for name, why in unreadable.items()]
    folders = [os.path.realpath(path / folder.relative) for folder in tree.all_folders()]
    return InputFiles(folders, files, bad, tree.all_passed())


def output_folder(path: str | None, default: Path, option: str) -> Path:
    """The folder in which a verb will write: a user's, or one of the run folder.

    Args:
        path: of the user, or None.
        default: in the run folder.
        option: that gives the path.

    Errors:
        ConfigError: nothing can be written there, which is told before there is work to lose.
    """
    folder = default if path is None else folder_at(path)
    with writing(folder, option):
        absolute = folder.absolute()
        existing = next(each for each in (absolute, *absolute.parents) if each.exists())
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return folder


def output_file(path: str | None, default: Path, option: str) -> Path:
    """The file that a verb will write, as `output_folder` gives a folder."""
    file = default if path is None else folder_at(path)
    output_folder(None, file.parent, option)
    with writing(file, option):
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return file


@contextlib.contextmanager
def writing(path: Path, option: str) -> Iterator[None]:
    """Within, a path that cannot be written is one line that names the option for another.

    Errors:
        ConfigError: the path cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise
        what = f"cannot be written ({error.strerror or type(error).__name__})"
        raise ConfigError(what, shown(path), f"give another place by {option}=") from None


@contextlib.contextmanager
def new_files(target: Path) -> Iterator[Path]:
    """Gives a path beside a folder; the files of a folder there come into it after the block.

    Other files in it stay as they are. Where the block fails, nothing comes.
    """
    fresh = target.with_name(f".{target.name[:40]}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        yield fresh
        for path in sorted([fresh, *fresh.rglob("*")]):  # folders before what is in them
            place = target / path.relative_to(fresh)
            if path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            else:
                path.replace(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def unused_path(folder: Path, name: str, suffix: str = "") -> Path:
    """A path in a folder where nothing is yet: the name, or with a number behind it."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    paths = (folder / f"{name}{suffix}" for name in names)
    return next(path for path in paths if not path.exists())
