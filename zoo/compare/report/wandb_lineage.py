"""The artifacts of a comparison at W&B: those of runs lead to the comparison, and it to its report.

What is used is named by its content, so that it is the artifact which another run has made. This
way also runs that are offline say what they use, which `Run.use_artifact` refuses; it is how that
method itself takes a new artifact (wandb 0.31).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.run_folder import STREAM

LONGEST = 128  # characters of a name
OF_CELL = ("config.yaml", "metrics.jsonl", "result.json", STREAM)
OF_TRIAL = ("config.yaml", "metrics.jsonl")  # of tuning, without a number of the test part
OF_COMPARISON = ("compare.json", "cells.csv", "plan.json")
OF_REPORT = ("report.html", "report.md", "figures", "tables")


def cell_artifact(folder: Path, phase: str, axes: Mapping[str, Any]) -> Any:
    """What a run left behind that is small: no weights.

    Args:
        folder: of the run, whose name is its address.
        phase: what the run is for.
        axes: that tell it from the others.
    """
    names = OF_TRIAL if phase == "tuning" else OF_CELL
    return artifact(f"cell-{folder.name}", "cell", folder, names, axes)


def artifact(
    name: str, kind: str, folder: Path, names: Sequence[str], about: Mapping[str, Any]
) -> Any:
    """An artifact of some files and folders, those of them that are there.

    Files of runs stay as they are and are read when they are uploaded; others are copied.
    """
    import wandb

    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:LONGEST]
    made = wandb.Artifact(safe, type=kind, metadata=dict(about))
    policy: Any = "immutable" if kind == "cell" else "mutable"
    for path in (folder / name for name in names):
        if path.is_dir():
            made.add_dir(str(path), name=path.name, policy=policy)
        elif path.is_file():
            made.add_file(str(path), policy=policy)
    return made


def use(run: Any, made: Any) -> None:
    """Notes that a run has used an artifact; nothing is waited for.

    Args:
        run: of W&B.
        made: the artifact.
    """
    run._log_artifact(made, is_user_created=True, use_after_commit=True)
