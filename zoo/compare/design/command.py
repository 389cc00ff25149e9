"""The words that repeat one run of a comparison."""

from __future__ import annotations

import json
from typing import Any

from zoo.compare.design.cell import Cell
from zoo.config.compose import compose
from zoo.config.tree import flatten
from zoo.errors import quoted


def command(cell: Cell) -> str:
    """The words that repeat a run."""
    config = cell.config
    default = flatten(compose({"task": config.choices["task"]}).plain())
    flat = flatten(config.plain())
    choices = {k.removeprefix("choices."): v for k, v in flat.items() if k.startswith("choices.")}
    words = [f"task={config.choices['task']}"]
    chosen = {k: v for k, v in choices.items() if default.get(f"choices.{k}") != v and k != "task"}
    words += [f"{key}={value}" for key, value in chosen.items()]
    base = flatten(compose({"task": config.choices["task"], **chosen}).plain())
    changed = {k: v for k, v in flat.items() if base.get(k) != v and not k.startswith("choices.")}
    words += [f"{key}={spelled(value)}" for key, value in changed.items()]
    return quoted(["python", "-m", "zoo", "fit", *words])


def spelled(value: Any) -> str:
    """A value in the grammar of the command line."""
    if value is None or isinstance(value, (bool, int, float, list)):
        return json.dumps(value)
    return str(value)
