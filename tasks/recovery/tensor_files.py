"""Files of tensors: written whole, with a digest beside them that is verified when they are read.

`SHA256SUMS` holds a line `DIGEST  NAME` for each of them, as `sha256sum -c` reads it. A digest is
written before its file and forgotten after it, so that no moment looks like damage; a second line
that a killed process left of a file goes with the next write.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from tasks.training.process import is_first
from zoo.errors import CheckpointError
from zoo.run_folder import beside, move_whole, room_for, write_whole
from zoo.system.console import say

SUMS = "SHA256SUMS"
LAST = {"state_dict", "callbacks", "data_digest", "global_step"}  # what last.ckpt must hold
BEST = {"loss", "step", "weights"}  # and best.ckpt


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(folder: Path) -> list[tuple[str, str]]:
    """Digests and names of the files in a folder; none for a run of before there were any."""
    path = folder / SUMS
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(line[:64], line[66:]) for line in lines]


def settled_sums(folder: Path) -> list[tuple[str, str]]:
    """Digests and names of the files that are there, the true one where a file has several.

    What it finds where a process was killed: an old and a new line of the file that was written,
    and the line of the one before it. A damaged file keeps its lines.
    """
    sums = read_sums(folder)
    files = {path.name for path in folder.iterdir()}
    there = [line for line in sums if line[1] in files]
    names = {name for _, name in there}
    if len(names) == len(there):
        return there
    known, true = {found for found, _ in sums}, {name: digest(folder / name) for name in names}
    return [(true[name] if true[name] in known else old, name) for old, name in there]


def write_sums(folder: Path, sums: list[tuple[str, str]]) -> None:
    """Writes digests and names of the files in a folder."""
    lines = sorted((name, found) for found, name in {*sums})
    write_whole(folder / SUMS, "".join(f"{found}  {name}\n" for name, found in lines))


class Writer:
    """An open file that counts its bytes and remembers what hindered a write.

    Args:
        file: open for bytes; None: they are only counted.
    """

    def __init__(self, file: BinaryIO | None = None):
        self.file = file
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        self.size += len(data)
        try:
            return self.file.write(data) if self.file else len(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Asked for by PyTorch; `write_tensors` does it."""


def write_tensors(path: Path, write: Callable[[Any], Any], kept: Path | None = None) -> None:
    """Writes a file of tensors and its digest; a process that is killed leaves the old one whole.

    Args:
        path: of the file.
        write: fills an open file, with the same bytes each time.
        kept: where the file that was there before stays.
    """
    folder, sums = path.parent, settled_sums(path.parent)
    new_name = {path.name: kept.name} if kept and path.is_file() else {}

    def size() -> int:
        counter = Writer()
        write(counter)
        return counter.size

    with room_for(path, size), beside(path) as partial:
        with partial.open("wb") as file:
            writer = Writer(file)
            try:
                write(writer)
            except RuntimeError as error:  # of PyTorch, about what the disk's error led to
                raise writer.error or error from None
            file.flush()
            os.fsync(file.fileno())
        found = digest(partial)
        write_sums(folder, [*sums, (found, path.name)])
        if kept and new_name:
            copy_whole(path, kept)
        move_whole(partial, path)
    gone = {path.name, *new_name.values()} - {*new_name}
    left = [(old, new_name.get(name, name)) for old, name in sums if name not in gone]
    write_sums(folder, [*left, (found, path.name)])


def copy_whole(path: Path, other: Path) -> None:
    """Gives the content of a file to another name as well, at no cost where the disk has links."""
    with room_for(other, lambda: path.stat().st_size), beside(other) as partial:
        try:
            os.link(path, partial)
        except OSError:
            shutil.copyfile(path, partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        move_whole(partial, other)


def put_back(path: Path, other: Path) -> None:
    """Puts a good checkpoint, which stays where it is, in the place of a damaged one."""
    sums = settled_sums(path.parent)
    same = [(found, other.name) for found, name in sums if name == path.name]
    write_sums(path.parent, [*sums, *same])
    copy_whole(path, other)
    write_sums(path.parent, [*(line for line in sums if line[1] != other.name), *same])


def set_aside(path: Path) -> None:
    """Gives a doubted file another name, in place of an earlier one of that name, and says so."""
    if path.is_file():
        aside = path.with_name(f"{path.name}.doubted")
        move_whole(path, aside)
        tell(f"the doubted file is kept as {aside}")


def repeatable(content: Any) -> Any:
    """The same content in fresh containers and with equal texts as one, so equal bytes are written.

    Pickle writes an object that it met before as a reference, and what was loaded shares less.
    """
    if isinstance(content, Tensor):
        return content.cpu()  # where it is loaded, too
    if isinstance(content, str):
        return sys.intern(str(content))
    if type(content) in (list, tuple):
        return type(content)(repeatable(value) for value in content)
    if type(content) in (dict, OrderedDict):
        fresh = type(content)((repeatable(k), repeatable(v)) for k, v in content.items())
        if isinstance(content, OrderedDict):  # of a module, with the versions of its parts
            vars(fresh).update(repeatable(vars(content)))
        return fresh
    return content


def save_whole(content: Any, path: Path, kept: Path | None = None) -> None:
    """Writes a checkpoint; equal content gives equal bytes.

    Args:
        content: of the checkpoint.
        path: of its file.
        kept: where the checkpoint that was there before stays.
    """
    write_tensors(path, lambda file: torch.save(repeatable(content), file), kept)


def save_safetensors(weights: Mapping[str, Tensor], path: Path, facts: Mapping[str, Any]) -> None:
    """Writes weights by their names in the model, for every program that reads safetensors.

    Args:
        weights: of the model.
        path: of the file.
        facts: about them, in the file's metadata under `zoo`, as JSON.
    """
    from safetensors.torch import save

    dense = {"memory_format": torch.contiguous_format}  # the format has no other
    apart = {name: value.detach().cpu().clone(**dense) for name, value in weights.items()}
    data = save(apart, {"zoo": json.dumps(facts)})  # the order of several keys would be random
    write_tensors(path, lambda file: file.write(data))


def load_checkpoint(path: Path, keys: set[str] = LAST) -> dict[str, Any]:
    """A checkpoint as plain containers and tensors; CheckpointError where it is none or damaged."""
    fix = "start again, or name another run"
    if not path.is_file():
        raise CheckpointError("there is no checkpoint", str(path), fix)
    try:
        sums, found = read_sums(path.parent), digest(path)
        if path.name not in (name for _, name in sums):
            tell(f"{path} has no digest in {SUMS}, so damage may go unseen")
        elif found not in (known for known, _ in sums):
            what = f"it or its line in {SUMS} is damaged: they differ"
            fix += "; if the line alone is wrong, remove it"
            raise CheckpointError(what, str(path), fix)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        missing = keys - checkpoint.keys()
        if missing:
            raise ValueError(f"it has no {', '.join(sorted(missing))}")
        return checkpoint
    except CheckpointError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
        raise CheckpointError(f"cannot be loaded ({reason})", str(path), fix) from None


def load_last(folder: Path) -> tuple[dict[str, Any], Path]:
    """The newest good checkpoint of a run and its file: `last.ckpt`, or the one before it.

    Args:
        folder: with the checkpoints.

    Errors:
        CheckpointError: there is none.
    """
    last, before = folder / "last.ckpt", folder / "previous.ckpt"
    try:
        return load_checkpoint(last), last
    except CheckpointError as error:
        if not before.is_file():
            raise
        lost = error
    try:
        checkpoint = load_checkpoint(before)
    except CheckpointError:
        what = f"{lost.what}; {before.name} is no better"
        raise CheckpointError(what, lost.where, lost.fix) from None
    tell(f"{lost.where}: {lost.what}; {before.name} of step {checkpoint['global_step']} is taken")
    return checkpoint, before


def load_best(folder: Path, last: dict[str, Any]) -> dict[str, Any]:
    """Loss, step and weights of the lowest validation loss of a run.

    Args:
        folder: with the checkpoints.
        last: its newest good checkpoint. It knows a better one where the run went on after
            `best.ckpt` was written.
    """
    known: dict[str, Any] = last["callbacks"]["Best"]
    path = folder / "best.ckpt"
    if not path.is_file():
        return known
    try:
        best = load_checkpoint(path, BEST)
    except CheckpointError as error:
        if not known["weights"]:
            raise
        tell(f"{error.where}: {error.what}; the best weights of step {known['step']} are taken")
        return known
    return best if best["loss"] <= known["loss"] else known


def tell(line: str) -> None:
    """Says a line on stderr, in the first process of a run."""
    if is_first():
        say(line)
