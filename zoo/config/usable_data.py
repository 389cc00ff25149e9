"""Which data sets a task can use: those whose `load` is annotated with the class that it takes."""

from __future__ import annotations

import contextlib
from typing import Any, get_type_hints

from zoo.config import registry
from zoo.errors import ConfigError


def loaded_type(source: Any) -> Any:
    """The class that a source's `load` is annotated with; None without one."""
    with contextlib.suppress(AttributeError, NameError, TypeError):
        return get_type_hints(source.load).get("return")
    return None


def data_type(task: str) -> Any:
    """The class of data that a task takes."""
    return registry.resolve("task", task).data_type  # type: ignore[attr-defined]


def usable(task: str) -> list[str]:
    """The names of the data sets that a task can use."""
    wanted = data_type(task)
    names = registry.names("data")
    return [name for name in names if loaded_type(registry.resolve("data", name)) is wanted]


def usable_with(task: str, option: str) -> list[str]:
    """The names of the data sets that a task can use and that have an option.

    Those that cannot be built without it come first; among these and among the others, those
    with the fewest base classes.
    """
    names = [name for name in usable(task) if option in registry.options("data", name)]

    def rank(name: str) -> tuple[bool, int, str]:
        complete = True
        try:
            registry.build("data", name)
        except ConfigError:
            complete = False
        return complete, len(registry.resolve("data", name).__mro__), name  # type: ignore[attr-defined]

    return sorted(names, key=rank)
