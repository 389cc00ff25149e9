"""The command line that repeats one run of a comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zoo.config.compose import compose
from zoo.config.tree import flatten
from zoo.errors import quoted

if TYPE_CHECKING:
    from zoo.compare.design.cell import Cell


def fit_command(cell: Cell) -> str:
    """The `fit` command of a run: its choices and options that differ from the defaults."""
    config = cell.config
    defaults = flatten(compose({"task": config.choices["task"]}).plain())
    flat = flatten(config.plain())
    choices = {k.removeprefix("choices."): v for k, v in flat.items() if k.startswith("choices.")}
    words = [f"task={config.choices['task']}"]
    chosen = {k: v for k, v in choices.items() if defaults.get(f"choices.{k}") != v and k != "task"}
    words += [f"{key}={value}" for key, value in chosen.items()]
    of_choices = flatten(compose({"task": config.choices["task"], **chosen}).plain())
    changed = {
        k: v for k, v in flat.items() if of_choices.get(k) != v and not k.startswith("choices.")
    }
    words += [f"{key}={as_word(value)}" for key, value in changed.items()]
    return quoted(["python", "-m", "zoo", "fit", *words])


def as_word(value: Any) -> str:
    """A value as the command line takes it."""
    if value is None or isinstance(value, (bool, int, float, list)):
        return json.dumps(value)
    return str(value)
