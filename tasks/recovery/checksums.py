"""`SHA256SUMS`: a line `DIGEST  NAME` for each file of a folder, as `sha256sum -c` reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zoo.system.atomic import atomic_write

SUMS = "SHA256SUMS"


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(folder: Path) -> list[tuple[str, str]]:
    """Digests and names of the files in a folder; none in folders of versions without digests."""
    path = folder / SUMS
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(line[:64], line[66:]) for line in lines]


def present_sums(folder: Path) -> list[tuple[str, str]]:
    """Digests and names of the files that exist, one line each also after a kill.

    A process that was killed within a write leaves two lines of the file, of its old and its new
    content: the true one stays. A damaged file, of which neither is true, keeps its lines.
    """
    sums = read_sums(folder)
    files = {path.name for path in folder.iterdir()}
    present = [line for line in sums if line[1] in files]
    names = {name for _, name in present}
    if len(names) == len(present):
        return present
    known, true = {old for old, _ in sums}, {name: digest(folder / name) for name in names}
    return [(true[name] if true[name] in known else old, name) for old, name in present]


def write_sums(folder: Path, sums: list[tuple[str, str]]) -> None:
    """Writes digests and names of the files in a folder."""
    lines = sorted((name, known) for known, name in {*sums})
    atomic_write(folder / SUMS, "".join(f"{known}  {name}\n" for name, known in lines))
