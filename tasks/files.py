"""Files that a verb reads and writes."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

from tasks.data.folders import File, folder_at, listed, shown, walk
from zoo.errors import ConfigError, DataError

SHOWN = 20  # files of each kind that are named in a text


@dataclass
class Found:
    """Files that a verb is to answer.

    Args:
        root: the folder in which they lie.
        files: in the order of their places.
        bad: what cannot be answered, each with its reason.
        passed: places of hidden files and folders.
    """

    root: Path
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
        return lines + ([f"hidden, not read: {listed(self.passed)}"] if self.passed else [])


def images_in(path: Path) -> Found:
    """The files in a folder and in its folders, links followed; or one file.

    Errors:
        DataError: there are none.
    """
    if not path.exists():
        raise DataError("no such file or folder", shown(path), "give path=IMAGES")
    if path.is_file():
        return Found(path.parent, [File(str(path), path.name, str(path.resolve()))])
    lost: dict[str, str] = {}
    tree = walk(path, lost)
    files = tree.all()
    if not files and not lost:
        raise DataError("no files", shown(path), "give path=IMAGES")
    bad = [{"file": shown(path / place), "reason": why} for place, why in lost.items()]
    return Found(path, files, bad, tree.all_passed())


def given_path(path: str | None, default: Path) -> Path:
    """Where a verb writes: a user's path, or a place in the run folder."""
    return default if path is None else folder_at(path)


@contextlib.contextmanager
def writing(place: Path, option: str) -> Iterator[None]:
    """Turns what hinders writing at a place into one line that names the option for another.

    Errors:
        ConfigError: the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        what = f"cannot be written ({error.strerror or type(error).__name__})"
        raise ConfigError(what, shown(place), f"give another place by {option}=") from None


def unused(place: Path, name: str, suffix: str = "") -> Path:
    """A path in a folder where nothing is yet: the name, or with a number behind it."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    paths = (place / f"{name}{suffix}" for name in names)
    return next(path for path in paths if not path.exists())
