"""Files that a verb reads and writes."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

from tasks.data.folders import File, folder_at, walk
from tasks.data.phrases import listed, shown
from zoo.errors import FULL, ConfigError, DataError

SHOWN = 20  # files of each kind that are named in a text


@dataclass
class Found:
    """Files that a verb is to answer.

    Args:
        folders: in which they lie, with all links followed.
        files: in the order of their places.
        bad: what cannot be answered, each with its reason.
        passed: places of hidden files and folders, and of what is no file.
    """

    folders: list[str]
    files: list[File]
    bad: list[dict[str, str]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def lose(self, file: File, reason: str) -> None:
        """Notes that a file cannot be answered."""
        self.bad.append({"file": shown(file.path), "reason": shown(reason)})

    def record(self) -> dict[str, list[dict[str, str]] | list[str]]:
        """For machines, what has no answer."""
        return {"bad": self.bad, "passed": [shown(place) for place in self.passed]}

    def lines(self) -> list[str]:
        """For people, what has no answer."""
        lines = [f"cannot be read: {e['file']} ({e['reason']})" for e in self.bad[:SHOWN]]
        lines += [f"... and {len(self.bad) - SHOWN} more"] if len(self.bad) > SHOWN else []
        return lines + (
            [f"hidden or no file, not read: {listed(self.passed)}"] if self.passed else []
        )


def images_in(path: Path) -> Found:
    """The files in a folder and in its folders, links followed; or one file.

    Errors:
        DataError: there are none.
    """
    if not path.exists():
        raise DataError("no such file or folder", shown(path), "give path=IMAGES")
    if path.is_file():
        real = os.path.realpath(path)
        return Found([os.path.realpath(path.parent)], [File(str(path), path.name, real)])
    lost: dict[str, str] = {}
    tree = walk(path, lost)
    files = tree.all()
    if not files and not lost:
        raise DataError("no files", shown(path), "give path=IMAGES")
    bad = [{"file": shown(path / place), "reason": why} for place, why in lost.items()]
    folders = [os.path.realpath(path / folder.relative) for folder in tree.all_folders()]
    return Found(folders, files, bad, tree.all_passed())


def given_folder(path: str | None, default: Path, option: str) -> Path:
    """The folder in which a verb will write: a user's, or one of the run folder.

    Args:
        path: of the user, or None.
        default: in the run folder.
        option: that gives the path.

    Errors:
        ConfigError: nothing can be written there, which is told before there is work to lose.
    """
    place = default if path is None else folder_at(path)
    with writing(place, option):
        absolute = place.absolute()
        there = next(each for each in (absolute, *absolute.parents) if each.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return place


def given_file(path: str | None, default: Path, option: str) -> Path:
    """The file that a verb will write, as `given_folder` gives a folder."""
    place = default if path is None else folder_at(path)
    given_folder(None, place.parent, option)
    with writing(place, option):
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return place


@contextlib.contextmanager
def writing(place: Path, option: str) -> Iterator[None]:
    """Turns what hinders writing at a place into one line that names the option for another.

    Errors:
        ConfigError: the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise
        what = f"cannot be written ({error.strerror or type(error).__name__})"
        raise ConfigError(what, shown(place), f"give another place by {option}=") from None


def unused(place: Path, name: str, suffix: str = "") -> Path:
    """A path in a folder where nothing is yet: the name, or with a number behind it."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    paths = (place / f"{name}{suffix}" for name in names)
    return next(path for path in paths if not path.exists())
