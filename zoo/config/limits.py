"""Lengths in steps or in epochs: one that a user sets replaces the default of the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from zoo.config import registry
from zoo.config.tree import flatten
from zoo.config.yaml_file import read_yaml
from zoo.system.console import say
from zoo.system.launch import is_first

LIMITS = ("max_steps", "max_epochs")
WARMUPS = {"warmup": ("warmup_epochs", None), "warmup_epochs": ("warmup", 0)}  # and how it is unset
Limits = Mapping[str, Any]


def default_limits(choices: Mapping[str, str]) -> Limits:
    """The default limits of a task with its trainer."""
    task = read_yaml(registry.find("task", choices["task"])).get("trainer", {})
    return {**registry.options("trainer", choices["trainer"]), **task}


def clear_default_limit(
    trainer: dict[str, Any], before: Limits, named: Collection[str], file: Any = None
) -> None:
    """Clears, in `trainer`, a limit that is only a default where the other one was set.

    Args:
        trainer: options of the trainer, which are changed.
        before: the task's default limits; a limit that differs from them was set by a preset.
        named: keys of the command line, such as `trainer.max_steps`.
        file: a YAML file; the limits in it count as set, too.
    """
    stated = flatten(read_yaml(Path(str(file)))) if file else {}
    named = {*named, *(key for key, value in stated.items() if value is not None)}
    were_set = [
        key
        for key in LIMITS
        if trainer[key] is not None
        and (f"trainer.{key}" in named or trainer[key] != before.get(key))
    ]
    for key in LIMITS:
        if were_set and key not in were_set:
            trainer[key] = None


def continue_limits(trainer: dict[str, Any], before: Limits, named: Collection[str]) -> None:
    """Clears, in `trainer`, a run's limit where the other one is set as it goes on, and says so.

    Args:
        trainer: options of the trainer, which are changed.
        before: the limits that the run had.
        named: keys of the command line.
    """
    clear_default_limit(trainer, before, named)
    dropped = [f"trainer.{key}={before[key]}" for key in LIMITS if before[key] and not trainer[key]]
    if dropped and is_first():
        say(f"{dropped[0]} of the run no longer holds")


def clear_other_warmup(optimizer: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Clears, in `optimizer`, one length of warm-up where only the other one is set.

    Args:
        optimizer: options of the optimiser, which are changed.
        changes: the values that are set, by key, such as `optimizer.warmup_epochs`.
    """
    for key, (other, nothing) in WARMUPS.items():
        is_set = changes.get(f"optimizer.{key}") is not None
        alone = is_set and f"optimizer.{other}" not in changes
        if alone and other in optimizer:
            optimizer[other] = nothing
