"""Files of the cache that are prepared once, and a record that says what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tasks.data.cache import writable
from tasks.data.sealed import sealed, unsealed
from zoo.system.atomic import atomic_write, remove_partial_files
from zoo.system.console import say
from zoo.system.one_writer import exclusive

RECORD = "prepared.json"  # appears last
Found = TypeVar("Found")


def prepared_once(
    folder: Path, find: Callable[[], Found | None], prepare: Callable[[], None]
) -> Found:
    """What lies prepared in a folder of the cache; one process prepares it, once.

    Args:
        folder: for one content and the options of its preparation alone.
        find: reads what was prepared; None where there is nothing of use, as of `read_record`.
        prepare: writes it, and then the record; only this process writes there.
    """
    found = find()
    if found is None:
        with exclusive(writable(folder)):
            found = find()  # another process may have prepared it meanwhile
            if found is None:
                remove_partial_files(folder)
                (folder / RECORD).unlink(missing_ok=True)
                with nothing_left(folder):
                    prepare()
                found = find()
    if found is None:
        raise RuntimeError(f"{folder} changes while it is read")
    return found


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """A context after whose failure a folder holds hidden files alone, such as its lease."""
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            if not path.name.startswith("."):
                path.unlink()
        raise


def write_record(folder: Path, files: Sequence[str], about: Mapping[str, Any]) -> None:
    """Writes what the prepared files of a folder are, as plain values of JSON, and their sizes."""
    sizes = {name: (folder / name).stat().st_size for name in files}
    atomic_write(folder / RECORD, sealed({"sizes": sizes, "about": about}))


def read_record(folder: Path) -> dict[str, Any] | None:
    """What the prepared files of a folder are; None where there are none.

    So it is where the record or a file's size are not as they were written, which is said.
    """
    path = folder / RECORD
    try:
        record = unsealed(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        say(f"{path} is damaged or of an earlier version; what it tells of is prepared anew")
        return None
    for name, size in record["sizes"].items():
        file = folder / name
        there = file.stat().st_size if file.is_file() else 0
        if there != size:
            say(f"{file} is damaged, {there:,} of {size:,} bytes; it is prepared anew")
            return None
    about: dict[str, Any] = record["about"]
    return about
