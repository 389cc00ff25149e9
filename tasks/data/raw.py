"""Raw files of public data sets: fetched once, and known by their digests."""

from __future__ import annotations

import hashlib
import http.client
import io
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tasks.data.cache import made
from tasks.data.network import SECONDS, within
from zoo.config.yaml_file import read_yaml
from zoo.errors import DataError
from zoo.system.atomic import atomic_write, remove_partial_files
from zoo.system.console import say
from zoo.system.lease import turn

KNOWN = read_yaml(Path(__file__).with_suffix(".yaml"))
Content = io.BufferedReader | io.BytesIO
TRIES = 2  # of a transfer that brings a damaged file
STALL = 30.0  # seconds without a byte that end a transfer
OWN = "copy it again; a graph of your own goes by data=npz"


def checked(folder: Path, name: str) -> Path:
    """A user's folder, its files compared with the digests that are known of them.

    Args:
        folder: with the raw files; those that are missing are passed over.
        name: of the data set.

    Errors:
        DataError: a file has another digest.
    """
    for path, _, expected in known(folder, name):
        wrong = damage_at(path, expected) if path.is_file() else ""
        if wrong:
            raise DataError(f"{path.name} {wrong}", str(path), OWN)
    return folder


def fetched(folder: Path, name: str) -> Path:
    """A folder of the cache, its missing and damaged files fetched; one process at a time does it.

    Args:
        folder: for the raw files; made if need be.
        name: of the data set.

    Errors:
        DataError: the server does not answer, or what it gives is damaged.
    """
    if lacking(folder, name):
        with turn(made(folder)):
            remove_partial_files(folder)
            for path, url, expected in lacking(folder, name):
                if path.is_file():
                    say(f"{path} {damage_at(path, expected)}; it is fetched anew")
                atomic_write(path, received(url, expected, path))
    return folder


def known(folder: Path, name: str) -> Iterator[tuple[Path, str, str]]:
    """The place of each file in a folder, where it comes from, and its digest."""
    entry = KNOWN.get(name, {"files": {}})
    for place, expected in entry["files"].items():
        yield folder / place.rpartition("/")[2], f"{entry['source']}/{place}", expected


def lacking(folder: Path, name: str) -> list[tuple[Path, str, str]]:
    """Those of the `known` files that are not there as they should be."""
    return [
        (path, url, expected)
        for path, url, expected in known(folder, name)
        if not path.is_file() or damage_at(path, expected)
    ]


def received(url: str, expected: str, path: Path) -> bytes:
    """The content of a URL that has this digest, to be put at a path."""
    fix = f"put the file into {path.parent}, or give data.path=FOLDER"
    wrong = ""
    for _ in range(TRIES):
        try:
            with within(SECONDS, lambda: urllib.request.urlopen(url, timeout=STALL)) as reply:
                content = reply.read()
        except http.client.IncompleteRead as error:
            content = error.partial
        except (OSError, http.client.HTTPException) as error:
            what = f"cannot download {path.name} ({getattr(error, 'reason', error)})"
            raise DataError(what, url, fix) from None
        wrong = damage(io.BytesIO(content), expected)
        if not wrong:
            return content
    raise DataError(f"{path.name} {wrong}", url, f"run again; else {fix}")


def damage_at(path: Path, expected: str) -> str:
    """What is wrong with a file; nothing where it has this digest."""
    with path.open("rb") as file:
        return damage(file, expected)


def damage(file: Content, expected: str) -> str:
    """What is wrong with a content; nothing where it has this digest."""
    actual = digest(file, expected)
    if actual == expected:
        return ""
    file.seek(0)
    is_page = file.read(1000).lstrip().lower().startswith((b"<!doctype", b"<html"))
    kind = "is a web page" if is_page else "is damaged"
    return f"{kind}: {file.seek(0, io.SEEK_END):,} bytes of digest {actual}, expected {expected}"


def digest(file: Content, like: str) -> str:
    """The SHA-256 of a content, or the id that Git gives it where `like` is as long as one."""
    if len(like) == hashlib.sha256().digest_size * 2:
        return hashlib.file_digest(file, "sha256").hexdigest()
    content = file.read()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
