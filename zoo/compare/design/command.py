"""The command line that repeats one run of a comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zoo.compare.design.axes import Values
from zoo.config.compose import compose
from zoo.config.tree import flatten
from zoo.errors import quoted

if TYPE_CHECKING:
    from zoo.compare.design.cell import Cell
    from zoo.config.config import Config


class Defaults:
    """The options that choices have by default, by dotted keys; each is composed once."""

    def __init__(self) -> None:
        self.known: dict[tuple[tuple[str, str], ...], Values] = {}

    def __call__(self, choices: dict[str, str]) -> Values:
        """The options of some choices."""
        key = tuple(sorted(choices.items()))
        if key not in self.known:
            self.known[key] = flatten(compose(choices).plain())
        return self.known[key]


def fit_command(cell: Cell, defaults: Defaults) -> str:
    """The `fit` command of a run: its choices and options that differ from the defaults."""
    return quoted(["python", "-m", "zoo", "fit", *words_of(cell.config, defaults)])


def words_of(config: Config, defaults: Defaults) -> list[str]:
    """The words that make a configuration: its task, and what differs from the defaults."""
    of_task = defaults({"task": config.choices["task"]})
    flat = flatten(config.plain())
    choices = {k.removeprefix("choices."): v for k, v in flat.items() if k.startswith("choices.")}
    words = [f"task={config.choices['task']}"]
    chosen = {k: v for k, v in choices.items() if of_task.get(f"choices.{k}") != v and k != "task"}
    words += [f"{key}={value}" for key, value in chosen.items()]
    of_choices = defaults({"task": config.choices["task"], **chosen})
    changed = {
        k: v for k, v in flat.items() if of_choices.get(k) != v and not k.startswith("choices.")
    }
    return words + [f"{key}={as_word(value)}" for key, value in changed.items()]


def as_word(value: Any) -> str:
    """A value as the command line takes it."""
    if value is None or isinstance(value, (bool, int, float, list)):
        return json.dumps(value)
    return str(value)
