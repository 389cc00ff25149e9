"""Presets: for which tasks they are, and which of their values hold beside other choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.config import registry
from zoo.config.yaml_file import read_yaml
from zoo.errors import ConfigError

SLOTS = {group: f"{folder}@{group}" for group, folder in registry.FOLDERS.items()}  # for Hydra


def refuse_other_tasks(choices: Mapping[str, str]) -> None:
    """Raises ConfigError for a preset of other tasks than the chosen one."""
    if "preset" not in choices:
        return
    name, task = choices["preset"], choices.get("task")
    tasks = read_yaml(registry.find("preset", name)).get("preset", {}).get("tasks")
    if tasks and task not in tasks:
        what = f"preset={name} is not for task={task}"
        raise ConfigError(what, "preset", f"use it with task={', '.join(tasks)}")


def without_foreign(
    name: str, chosen: Mapping[Any, Any], sections: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The sections without the preset's values for choices that the command line replaced.

    A preset that chooses `connection: scaled` sets options of `scaled`; beside
    `connection=hyper` the defaults of `hyper` hold instead.

    Args:
        name: the preset.
        chosen: the chosen name of every group.
        sections: the options of every group, as composed.
    """
    preset = read_yaml(registry.find("preset", name))
    groups = {slot: group for group, slot in SLOTS.items()}
    sections = dict(sections)
    for entry in preset["defaults"]:
        (key, meant), *_ = entry.items()
        slot = key.removeprefix("override /")
        group = groups.get(slot, slot)
        if chosen[group] != meant and group in preset:
            sections[group] = registry.options(group, str(chosen[group]))
    return sections
