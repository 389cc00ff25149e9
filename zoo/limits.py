"""The limits of a run's length: one that is given takes the place of the default's other one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from zoo import registry
from zoo.files import read_yaml

LIMITS = ("max_steps", "max_epochs")
Limits = Mapping[str, Any]


def default_limits(choices: Mapping[str, str]) -> Limits:
    """The limits of a task that nobody has changed."""
    task = read_yaml(registry.find("task", choices["task"])).get("trainer", {})
    return {**registry.options("trainer", choices["trainer"]), **task}


def settle_limits(trainer: dict[str, Any], before: Limits, named: Collection[str]) -> None:
    """Clears, in place, a limit that nobody gave where the other one was given.

    Args:
        trainer: options of the trainer.
        before: the limits that stood before: of the task, or of the run that is continued. What
            differs from them was given by a preset or a file.
        named: keys of the command line, such as `trainer.max_steps`.
    """
    given = [
        key
        for key in LIMITS
        if trainer[key] is not None
        and (f"trainer.{key}" in named or trainer[key] != before.get(key))
    ]
    for key in LIMITS:
        if given and key not in given:
            trainer[key] = None
