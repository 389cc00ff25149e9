"""What must hold where a run goes on, or is used again: its options, its length and its data."""

from __future__ import annotations

import sys
from typing import Any

from tasks.training.module import Task
from zoo.config.compose import from_file
from zoo.config.config import Config
from zoo.config.tree import flatten
from zoo.errors import ConfigError, shown
from zoo.run_folder import RunFolder
from zoo.system.launch import is_first


def same_run(config: Config, folder: RunFolder) -> bool:
    """Whether the run in a folder has this configuration, which then takes its name as well."""
    try:
        stored = from_file(str(folder.path / "config.yaml"), {})
    except ConfigError:  # of something else
        return False
    named = config.run["id"] or stored.run["id"]
    same = {**config.plain(), "run": {**config.run, "id": named}} == stored.plain()
    config.run["id"] = named if same else config.run["id"]
    return same


def refuse_changes(config: Config, folder: RunFolder, allowed: tuple[str, ...]) -> None:
    """ConfigError with a table where a configuration differs from its folder's.

    Options that came after the run began have their defaults there.
    """
    old = flatten(from_file(str(folder.path / "config.yaml"), {}).plain())
    new = flatten(config.plain())
    changed = [
        (key, old.get(key), new.get(key))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and not key.removeprefix("choices.").startswith(allowed)
    ]
    if changed:
        if is_first():
            for key, before, now in changed:
                print(shown(f"  {key:<28} {before!s:<20} -> {now}"), file=sys.stderr)
        keys = ", ".join(key for key, *_ in changed)
        fix = f"only {', '.join(allowed)} may change"
        raise ConfigError(f"{keys} would change", f"from={folder.path}", fix)


def refuse_past(limits: dict[str, int], step: int, folder: RunFolder) -> None:
    """ConfigError where a run has gone further than a limit."""
    for words, steps in limits.items():
        if steps < step:
            what = f"the run is at step {step}, {words} ends at step {steps}"
            raise ConfigError(what, f"from={folder.path}", f"give more than {step} steps")


def same_data(task: Task, checkpoint: dict[str, Any], folder: RunFolder) -> Task:
    """The task, or ConfigError where its data is not what the run was trained on."""
    if checkpoint["data_digest"] != task.data_digest():
        raise ConfigError("the data has changed since", str(folder.path), "give the same data")
    return task
