"""Checkpoints of a run, verified by their digests as they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tasks.recovery.checksums import SUMS, digest, read_sums
from tasks.recovery.ranks import say_once
from zoo.errors import CheckpointError

LAST = {"state_dict", "callbacks", "data_digest", "global_step"}  # what last.ckpt must hold
BEST = {"loss", "step", "weights"}  # and best.ckpt


def load_checkpoint(path: Path, keys: set[str] = LAST) -> dict[str, Any]:
    """Returns a checkpoint as plain containers and tensors; CheckpointError where it is damaged."""
    fix = "start again, or name another run"
    if not path.is_file():
        raise CheckpointError("there is no checkpoint", str(path), fix)
    try:
        sums, actual = read_sums(path.parent), digest(path)
        if path.name not in (name for _, name in sums):
            say_once(f"{path} has no digest in {SUMS}, so damage may go unseen")
        elif actual not in (known for known, _ in sums):
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
    """Returns the newest good checkpoint of a run and its file: `last.ckpt` or `previous.ckpt`.

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
    say_once(
        f"{lost.where}: {lost.what}; {before.name} of step {checkpoint['global_step']} is taken"
    )
    return checkpoint, before


def load_best(folder: Path, last: dict[str, Any]) -> dict[str, Any]:
    """Returns loss, step and weights of the lowest validation loss of a run.

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
        say_once(f"{error.where}: {error.what}; the best weights of step {known['step']} are taken")
        return known
    return best if best["loss"] <= known["loss"] else known
