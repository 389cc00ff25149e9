"""What a preset says holds for its tasks, and for the rules that it chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.config import registry
from zoo.config.yaml_file import read_yaml
from zoo.errors import ConfigError

SLOTS = {group: f"{folder}@{group}" for group, folder in registry.FOLDERS.items()}  # for Hydra


def refuse_other_tasks(choices: Mapping[str, str]) -> None:
    """ConfigError for a preset that is meant for other tasks."""
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
    """The sections, in which what a preset says of its own choices is not for other ones.

    Args:
        name: of the preset.
        chosen: the name in every group.
        sections: as composed.
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
