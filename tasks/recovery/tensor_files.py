"""Files of tensors: each one whole, with a digest beside it.

A digest is written before its file and forgotten after it, so that no moment looks like damage; a
second line that a killed process left of a file goes with the next write.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.recovery.checksums import digest, present_sums, write_sums
from tasks.recovery.ranks import say_once
from zoo.system.atomic import atomic_copy, atomic_rename, atomic_replace


def save_checkpoint(content: Any, path: Path, previous: Path | None = None) -> None:
    """Writes a checkpoint; equal content gives equal bytes.

    Args:
        content: of the checkpoint.
        path: of its file.
        previous: gets the checkpoint that was there before.
    """
    write_tensors(path, lambda file: torch.save(repeatable(content), file), previous)


def save_safetensors(weights: Mapping[str, Tensor], path: Path, about: Mapping[str, Any]) -> None:
    """Writes weights by their names in the model, as a safetensors file.

    Args:
        weights: of the model.
        path: of the file.
        about: the run, in the file's metadata under `zoo`, as JSON.
    """
    from safetensors.torch import save

    dense = {"memory_format": torch.contiguous_format}  # the format has no other
    apart = {name: value.detach().cpu().clone(**dense) for name, value in weights.items()}
    data = save(apart, {"zoo": json.dumps(about)})  # the order of several keys would be random
    write_tensors(path, lambda file: file.write(data))


def write_tensors(path: Path, write: Callable[[Any], Any], previous: Path | None = None) -> None:
    """Writes a file of tensors and its digest; a process that is killed leaves the old one whole.

    Args:
        path: of the file.
        write: fills an open file, with the same bytes each time.
        previous: gets the file that was there before.
    """
    folder, sums = path.parent, present_sums(path.parent)
    new_name = {path.name: previous.name} if previous and path.is_file() else {}
    with atomic_replace(path, write) as partial:
        new = (digest(partial), path.name)
        write_sums(folder, [*sums, new])
        if previous and new_name:
            atomic_copy(path, previous)
    gone = {path.name, *new_name.values()} - {*new_name}
    left = [(known, new_name.get(name, name)) for known, name in sums if name not in gone]
    write_sums(folder, [*left, new])


def copy_checkpoint(path: Path, other: Path) -> None:
    """Gives a good checkpoint another name as well, in place of what has that name now."""
    sums = present_sums(path.parent)
    same = [(known, other.name) for known, name in sums if name == path.name]
    write_sums(path.parent, [*sums, *same])
    atomic_copy(path, other)
    write_sums(path.parent, [*(line for line in sums if line[1] != other.name), *same])


def set_aside(path: Path) -> None:
    """Renames a doubted file to `NAME.doubted`, in place of an earlier one, and says so."""
    if path.is_file():
        aside = path.with_name(f"{path.name}.doubted")
        atomic_rename(path, aside)
        say_once(f"the doubted file is kept as {aside}")


def repeatable(content: Any, of_tensor: Callable[[Tensor], Any] = Tensor.cpu) -> Any:
    """Returns a copy of the content that pickle writes as the same bytes whatever its history.

    Containers are fresh and equal texts are one object: pickle writes an object that it met before
    as a reference, and content that was loaded shares fewer objects than content that was made.

    Args:
        content: of a checkpoint.
        of_tensor: gives what the copy has of a tensor; by default it lies where it is loaded, too.
    """
    if isinstance(content, Tensor):
        return of_tensor(content)
    if isinstance(content, str):
        return sys.intern(str(content))
    if type(content) in (list, tuple):
        return type(content)(repeatable(value, of_tensor) for value in content)
    if type(content) in (dict, OrderedDict):
        pairs = ((repeatable(k), repeatable(v, of_tensor)) for k, v in content.items())
        fresh = type(content)(pairs)
        if isinstance(content, OrderedDict):  # of a module, with the versions of its submodules
            vars(fresh).update(repeatable(vars(content)))
        return fresh
    return content
