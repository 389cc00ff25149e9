"""Lengths in steps or epochs: one that is given takes the place of the default's other one."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from zoo.config import registry
from zoo.config.tree import flatten
from zoo.config.yaml_file import read_yaml
from zoo.system.console import say

LIMITS = ("max_steps", "max_epochs")
WARMUPS = {"warmup": ("warmup_epochs", None), "warmup_epochs": ("warmup", 0)}  # none of the other
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
        say(f"{dropped[0]} of the run no longer holds")


def settle_warmup(optimizer: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Clears, in place, one length of warm-up where only the other one is given.

    Args:
        optimizer: options of the optimiser.
        given: values by key, such as `optimizer.warmup_epochs`.
    """
    for key, (other, nothing) in WARMUPS.items():
        alone = given.get(f"optimizer.{key}") is not None and f"optimizer.{other}" not in given
        if alone and other in optimizer:
            optimizer[other] = nothing
