"""From a declared comparison to its cells, each with a composed and checked configuration."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import Any

from zoo.compare.design.axes import (
    Arm,
    Axes,
    Place,
    Values,
    against_itself,
    arms_of,
    baselines_of,
    is_setting,
    product,
)
from zoo.compare.design.cell import Cell, digest
from zoo.compare.design.spec import Comparison
from zoo.compare.design.validate import refuse, refuse_doubles, refuse_size
from zoo.config import registry
from zoo.config.compose import change, compose, having
from zoo.config.config import Config
from zoo.config.limits import LIMITS, default_limits, settle_limits
from zoo.config.options import fields
from zoo.config.tree import flatten
from zoo.errors import ConfigError, suggest


@dataclass
class Plan:
    """All runs of a comparison.

    Args:
        places: where arms meet.
        arms: what is compared.
        baselines: for each other arm the one that it is compared with.
        pairs: the seeds.
        cells: the runs.
    """

    places: list[Place]
    arms: list[Arm]
    baselines: dict[str, str]
    pairs: list[int]
    cells: list[Cell]

    @property
    def deepest(self) -> list[Place]:
        """The deepest place of each family, whose contrasts are corrected for each other."""
        deepest: dict[str, Place] = {}
        for place in self.places:
            known = deepest.setdefault(place.family, place)
            if isinstance(place.depth, (int, float)) and place.depth > known.depth:
                deepest[place.family] = place
        return list(deepest.values())

    @property
    def hypotheses(self) -> int:
        """How many claims are corrected for each other."""
        return len(self.deepest) * len(self.baselines)


class Composer:
    """Composes many configurations: files are read and values are checked once for each kind."""

    def __init__(self) -> None:
        self.composed: dict[tuple[tuple[str, str], ...], Config] = {}
        self.checked: dict[str, dict[str, Any]] = {}
        self.used: set[str] = set()

    def base(self, choices: dict[str, str]) -> Config:
        """The defaults of some choices."""
        key = tuple(sorted(choices.items()))
        if key not in self.composed:
            self.composed[key] = compose(choices)
        return copy.deepcopy(self.composed[key])

    def __call__(self, values: Values, seed: int) -> Config:
        """The configuration of some words; options that a choice does not have are left out."""
        choices = {key: str(value) for key, value in values.items() if key in registry.GROUPS}
        slots = self.base({"task": choices["task"]}).choices
        if "connection" in choices and "long" in slots:  # a rule is meant for both
            choices.setdefault("long", choices["connection"])
        config = self.base(choices)
        known = flatten(config.plain())
        options = {key: value for key, value in values.items() if key in known}
        self.used |= {*choices, *options}
        change(config, {**options, "seed": seed}, "compare")
        settle_limits(config.sections["trainer"], default_limits(config.choices), options)
        if config.sections["trainer"]["devices"] > 1:
            what = "a comparison trains every run on one device"
            raise ConfigError(what, "trainer.devices", "leave it out")
        self.check(config)
        return config

    def check(self, config: Config) -> None:
        """Checks each section of options once."""
        parts = {group: [config.choices[group], s] for group, s in config.sections.items()}
        key = digest(parts)
        if key not in self.checked:
            self.checked[key] = config.check().sections
        config.sections = {group: dict(options) for group, options in self.checked[key].items()}


def plan(options: Comparison, given: Axes) -> Plan:
    """The cells of a comparison.

    Errors:
        ConfigError: an empty axis, a value twice, too many cells, fewer than two arms, a word that
            no cell knows.
    """
    refuse(options, given)
    words = {key: values for key, values in given.items() if key not in ("task", "seed")}
    tasks = [str(task) for task in given.get("task", list(options.tasks))]
    pairs = given.get("seed", range(options.pairs))
    several = {k: v for k, v in words.items() if len(v) > 1 and not is_setting(k)}
    if options.null and not several and "connection" in words:
        several = {"connection": words["connection"]}
    axes = several or {"arm": list(options.arms)}
    arms = arms_of(axes)
    baselines = baselines_of(arms, axes, options.baseline)
    if options.null and arms:
        arms, baselines = against_itself(arms, baselines)
    if len(arms) < 2:
        fix = "give two, such as connection=plain,residual"
        raise ConfigError("there are fewer than two arms", "compare", fix)
    rooms = {task: rooms_of(options.tasks.get(task, {}), words) for task in tasks}
    count = sum(len(places) for places, _ in rooms.values()) * len(arms) * len(pairs)
    if not count:
        raise ConfigError("no task is compared", "compare", "add task=cnn,gnn")
    refuse_size(count, options)
    fixed = {key: values[0] for key, values in words.items() if len(values) == 1}
    named = set() if several else {k for values in options.arms.values() for k in values}
    for key in sorted(named & fixed.keys()):
        raise ConfigError(f"{key} has one value", f"{key}=...", "give two, to compare them")
    composer, cells, found = Composer(), [], []
    for task, (settings, stated) in rooms.items():
        for setting in settings:
            place = Place(task, setting)
            found.append(place)
            for pair, arm in itertools.product(pairs, arms):
                own = dict(arm.values) if several else options.arms[dict(arm.values)["arm"]]
                values = {"task": task, **stated, **fixed, **dict(setting), **own}
                cells.append(Cell(place, arm.name, pair, composer(values, pair + arm.shift)))
    for key in words:
        if key not in composer.used:
            known = {*composer.used, *fields(Comparison), *registry.GROUPS, "compare", "seed"}
            near = having(cells[0].config, key) or suggest(key, known)
            raise ConfigError(f"unknown option {key}", "compare", near)
    return Plan(found, arms, baselines, list(pairs), cells)


def rooms_of(stated: Values, words: Axes) -> tuple[list[tuple[tuple[str, Any], ...]], Values]:
    """The settings of a task in which arms meet, and what the file says beside them.

    Args:
        stated: what the file says of the task; a list is an axis.
        words: of the command line, which win.
    """
    if any(f"trainer.{key}" in words for key in LIMITS):  # one limit takes the place of both
        stated = {k: v for k, v in stated.items() if k.removeprefix("trainer.") not in LIMITS}
    axes = {k: v if isinstance(v, list) else [v] for k, v in stated.items() if is_setting(k)}
    axes |= {key: values for key, values in words.items() if is_setting(key)}
    refuse_doubles(axes)
    shown = {k: v for k, v in axes.items() if len(v) > 1 or k == "model.depth"}
    rest = {key: values[0] for key, values in axes.items() if key not in shown}
    return product(shown), {k: v for k, v in stated.items() if not is_setting(k)} | rest
