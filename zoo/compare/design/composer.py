"""The configurations of the runs of a comparison, each composed and checked."""

from __future__ import annotations

import copy
from typing import Any

from zoo.compare.design.axes import Values
from zoo.compare.design.cell import digest
from zoo.compare.design.varied import data_of_pair
from zoo.config import registry
from zoo.config.compose import change, compose
from zoo.config.config import Config
from zoo.config.limits import clear_default_limit, default_limits
from zoo.config.tree import flatten
from zoo.errors import ConfigError


class Composer:
    """Composes many configurations; reads each file and checks each section of options once."""

    def __init__(self) -> None:
        self.composed: dict[tuple[tuple[str, str], ...], Config] = {}
        self.checked: dict[str, dict[str, Any]] = {}
        self.used: set[str] = set()

    def base(self, choices: dict[str, str]) -> Config:
        """A configuration of some choices with default options."""
        key = tuple(sorted(choices.items()))
        if key not in self.composed:
            self.composed[key] = compose(choices)
        return copy.deepcopy(self.composed[key])

    def chosen(self, values: Values) -> Config:
        """A configuration of the choices among some values, with default options."""
        choices = {key: str(value) for key, value in values.items() if key in registry.GROUPS}
        slots = self.base({"task": choices["task"]}).choices
        if "connection" in choices and "long" in slots:  # a rule is meant for both
            choices.setdefault("long", choices["connection"])
        return self.base(choices)

    def data_of_pair(self, values: Values, pair: int, tuned: bool) -> Values:
        """The options that give a pair data of its own, if any do."""
        return data_of_pair(self.chosen(values).choices["data"], pair, values, tuned)

    def __call__(self, values: Values, seed: int) -> Config:
        """The configuration of some values and a seed.

        Options that these choices do not have are left out; `used` notes the names of the others.
        """
        choices = {key: str(value) for key, value in values.items() if key in registry.GROUPS}
        config = self.chosen(values)
        known = flatten(config.plain())
        options = {key: value for key, value in values.items() if key in known}
        self.used |= {*choices, *options}
        change(config, {**options, "seed": seed}, "compare")
        clear_default_limit(config.sections["trainer"], default_limits(config.choices), options)
        if config.sections["trainer"]["devices"] == "auto":
            what = "a comparison plans with the number of devices of a run"
            raise ConfigError(what, "trainer.devices=auto", "give a number")
        self.check(config)
        return config

    def check(self, config: Config) -> None:
        """Checks the options of a configuration and replaces them by the checked ones."""
        key = digest({group: [config.choices[group], s] for group, s in config.sections.items()})
        if key not in self.checked:
            self.checked[key] = config.check().sections
        config.sections = {group: dict(options) for group, options in self.checked[key].items()}
