"""The return of a run to an earlier step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.recovery.loading import load_checkpoint
from tasks.recovery.tensor_files import copy_checkpoint, save_checkpoint


class RolledBack(Exception):
    """Raised to go on from an earlier checkpoint, behind the batches that were lost.

    Args:
        checkpoint: to go on from.
        step: of it.
    """

    def __init__(self, checkpoint: Path, step: int):
        super().__init__(f"back to step {step}")
        self.checkpoint, self.step = checkpoint, step


def rewrite_for_return(path: Path, guard: dict[str, Any], dropped_batches: int) -> None:
    """Adds what has happened since to the checkpoint to return to, and makes it `last.ckpt` too.

    Args:
        path: of the checkpoint.
        guard: the state of the guard.
        dropped_batches: training batches that the run leaves out from there on.
    """
    checkpoint = load_checkpoint(path)
    checkpoint["callbacks"]["Guard"] = guard | {"usual": checkpoint["callbacks"]["Guard"]["usual"]}
    checkpoint["dropped_batches"] = dropped_batches
    last = path.with_name("last.ckpt")
    save_checkpoint(checkpoint, last, path.with_name("previous.ckpt"))
    copy_checkpoint(last, path)
