"""Raw files of public data sets: downloaded once, and compared with their known digests."""

from __future__ import annotations

import hashlib
import http.client
import io
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tasks.data.cache import writable
from tasks.data.network import SECONDS, answer_within
from zoo.config.yaml_file import read_yaml
from zoo.errors import DataError
from zoo.system.atomic import atomic_write, remove_partial_files
from zoo.system.console import say
from zoo.system.one_writer import exclusive

KNOWN = read_yaml(Path(__file__).with_suffix(".yaml"))  # source and digests of each data set
BinaryFile = io.BufferedReader | io.BytesIO
TRIES = 2  # of a transfer that brings a damaged file
STALL = 30.0  # seconds without a byte that end a transfer
FIX = "copy it again; a graph of your own goes by data=npz"


def verified(folder: Path, name: str) -> Path:
    """Returns a user's folder of raw files after comparing them with their known digests.

    Args:
        folder: of the raw files; those that are missing are passed over.
        name: of the data set.

    Errors:
        DataError: a file has another digest.
    """
    for path, _, expected in expected_files(folder, name):
        wrong = damage_at(path, expected) if path.is_file() else ""
        if wrong:
            raise DataError(f"{path.name} {wrong}", str(path), FIX)
    return folder


def downloaded(folder: Path, name: str) -> Path:
    """Returns a folder of the cache after downloading what is missing or damaged in it.

    One process at a time does so.

    Args:
        folder: for the raw files; made if need be.
        name: of the data set.

    Errors:
        DataError: the server does not answer, or what it gives is damaged.
    """
    if missing_files(folder, name):
        with exclusive(writable(folder)):
            remove_partial_files(folder)
            for path, url, expected in missing_files(folder, name):
                if path.is_file():
                    say(f"{path} {damage_at(path, expected)}; it is fetched anew")
                atomic_write(path, download(url, expected, path))
    return folder


def expected_files(folder: Path, name: str) -> Iterator[tuple[Path, str, str]]:
    """Gives path, URL and digest of each raw file that a folder should hold."""
    entry = KNOWN.get(name, {"files": {}})
    for path, expected in entry["files"].items():
        yield folder / path.rpartition("/")[2], f"{entry['source']}/{path}", expected


def missing_files(folder: Path, name: str) -> list[tuple[Path, str, str]]:
    """Those of `expected_files` that are missing or damaged."""
    return [
        (path, url, expected)
        for path, url, expected in expected_files(folder, name)
        if not path.is_file() or damage_at(path, expected)
    ]


def download(url: str, expected: str, path: Path) -> bytes:
    """The content of a URL; DataError where no server answers or it has another digest.

    Args:
        url: of the file.
        expected: its digest.
        path: where it will lie, for messages.
    """
    fix = f"put the file into {path.parent}, or give data.path=FOLDER"
    wrong = ""
    for _ in range(TRIES):
        try:
            with answer_within(
                SECONDS, lambda: urllib.request.urlopen(url, timeout=STALL)
            ) as reply:
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
    """Words for what is wrong with a file; empty where it has the expected digest."""
    with path.open("rb") as file:
        return damage(file, expected)


def damage(file: BinaryFile, expected: str) -> str:
    """Words for what is wrong with a content; empty where it has the expected digest."""
    actual = digest(file, expected)
    if actual == expected:
        return ""
    file.seek(0)
    is_page = file.read(1000).lstrip().lower().startswith((b"<!doctype", b"<html"))
    kind = "is a web page" if is_page else "is damaged"
    return f"{kind}: {file.seek(0, io.SEEK_END):,} bytes of digest {actual}, expected {expected}"


def digest(file: BinaryFile, like: str) -> str:
    """The SHA-256 of a content, or the id that Git gives it where `like` is as long as one."""
    if len(like) == hashlib.sha256().digest_size * 2:
        return hashlib.file_digest(file, "sha256").hexdigest()
    content = file.read()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
