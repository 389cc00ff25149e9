"""The limits of a run's length: one that is given takes the place of the default's other one."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.files import read_yaml
from zoo.tree import flatten

LIMITS = ("max_steps", "max_epochs")
Limits = Mapping[str, Any]


def default_limits(choices: Mapping[str, str]) -> Limits:
    """The limits of a task that nobody has changed."""
    task = read_yaml(registry.find("task", choices["task"])).get("trainer", {})
    return {**registry.options("trainer", choices["trainer"]), **task}


def settle_limits(
    trainer: dict[str, Any], before: Limits, named: Collection[str], file: Any = None
) -> None:
    """Clears, in place, a limit that nobody gave where the other one was given.

    Args:
        trainer: options of the trainer.
        before: the limits that the task has; what differs from them was given by a preset.
        named: keys of the command line, such as `trainer.max_steps`.
        file: whose limits count as given, too.
    """
    stated = flatten(read_yaml(Path(str(file)))) if file else {}
    named = {*named, *(key for key, value in stated.items() if value is not None)}
    given = [
        key
        for key in LIMITS
        if trainer[key] is not None
        and (f"trainer.{key}" in named or trainer[key] != before.get(key))
    ]
    for key in LIMITS:
        if given and key not in given:
            trainer[key] = None


def continue_limits(trainer: dict[str, Any], before: Limits, named: Collection[str]) -> None:
    """Clears, in place, a limit of a run where the other one is given as it goes on, and says so.

    Args:
        trainer: options of the trainer.
        before: the limits that the run had.
        named: keys of the command line.
    """
    settle_limits(trainer, before, named)
    dropped = [f"trainer.{key}={before[key]}" for key in LIMITS if before[key] and not trainer[key]]
    if dropped and os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"zoo: {dropped[0]} of the run no longer holds", file=sys.stderr)
