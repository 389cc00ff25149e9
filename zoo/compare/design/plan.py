"""The runs of a comparison, each with a composed and checked configuration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from zoo.compare.design.cell import NO_EFFECT, Cell
from zoo.compare.design.composer import Composer
from zoo.compare.design.spec import Comparison
from zoo.compare.design.validate import check_axes, check_size, check_values
from zoo.compare.design.varied import varied_places
from zoo.compare.design.waves import most_pairs
from zoo.config import registry
from zoo.config.compose import having
from zoo.config.limits import LIMITS
from zoo.config.options import fields
from zoo.errors import ConfigError, suggest


@dataclass
class Plan:
    """All runs of a comparison.

    Args:
        places: where arms meet.
        arms: that are compared.
        baselines: for each arm but the baselines the arm that it is compared with.
        pairs: numbers of the pairs, which are also their seeds.
        cells: the runs.
        varied: titles of the places at which each pair has data of its own.
        resplit: titles of those among them where these are splits of one set.
        scripts: commands that are compared in the place of tasks, by their names.
        fixed: options that the command line sets for all runs, other than the declaration and axes.
    """

    places: list[Place]
    arms: list[Arm]
    baselines: dict[str, str]
    pairs: list[int]
    cells: list[Cell]
    varied: list[str] = field(default_factory=list)
    resplit: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    fixed: Values = field(default_factory=dict)

    @property
    def deepest(self) -> list[Place]:
        """The deepest place of each family, whose contrasts are corrected for each other."""
        return deepest_of(self.places)

    @property
    def devices(self) -> int:
        """The most devices, of one machine, that a run asks for."""
        return max(cell.devices for cell in self.cells)

    @property
    def hypotheses(self) -> int:
        """The number of contrasts at deepest places, which are corrected for each other."""
        return len(self.deepest) * len(self.baselines)


def deepest_of(places: Sequence[Place]) -> list[Place]:
    """The deepest place of each family."""
    deepest: dict[str, Place] = {}
    for place in places:
        known = deepest.setdefault(place.family, place)
        if isinstance(place.depth, (int, float)) and place.depth > known.depth:
            deepest[place.family] = place
    return list(deepest.values())


def plan(options: Comparison, axes: Axes) -> Plan:
    """The plan of a comparison.

    Args:
        options: as declared.
        axes: that the command line adds; they win over those of the declaration.

    Errors:
        ConfigError: an empty axis, a value twice, too many cells, fewer than two arms, an option
            that no cell has.
    """
    check_axes(options, axes)
    words = {key: values for key, values in axes.items() if key not in ("task", "seed")}
    tasks = [str(task) for task in axes.get("task", list(options.tasks))]
    several = {k: v for k, v in words.items() if len(v) > 1 and not is_setting(k)}
    for key in several:
        if key.startswith(NO_EFFECT):
            raise ConfigError(f"{key} changes no result", f"{key}=...", "give it one value")
    if options.noise and not several and "connection" in words:
        several = {"connection": words["connection"]}
    of_arms = several or {"arm": list(options.arms)}
    arms = arms_of(of_arms)
    baselines = baselines_of(arms, of_arms, options.baseline)
    if options.noise and arms:
        arms, baselines = against_itself(arms, baselines)
    if len(arms) < 2:
        fix = "give two, such as connection=plain,residual"
        raise ConfigError("there are fewer than two arms", "compare", fix)
    by_task = {task: settings_of(options.tasks.get(task, {}), words) for task in tasks}
    places = [Place(task, s) for task, (settings, _) in by_task.items() for s in settings]
    if not places:
        raise ConfigError("no task is compared", "compare", "add task=cnn,gnn")
    most = most_pairs(options, len(deepest_of(places)) * len(baselines))
    pairs = axes.get("seed", range(most))
    check_size(len(places) * len(arms) * len(pairs), options)
    fixed = {key: values[0] for key, values in words.items() if len(values) == 1}
    varied = set() if several else {k for values in options.arms.values() for k in values}
    for key in sorted(varied & fixed.keys()):
        raise ConfigError(f"{key} has one value", f"{key}=...", "give two, to compare them")
    composer, cells = Composer(), []
    for place in places:
        shared = by_task[place.task][1]
        for pair, arm in itertools.product(pairs, arms):
            of_arm = dict(arm.values) if several else options.arms[dict(arm.values)["arm"]]
            values = {"task": place.task, **shared, **fixed, **dict(place.values), **of_arm}
            if options.vary == "data":
                values |= composer.data_of_pair(values, pair, bool(options.tune))
            cells.append(Cell(place, arm.name, pair, composer(values, pair + arm.shift)))
    for key in words:
        if key not in composer.used:
            known = {*composer.used, *fields(Comparison), *registry.GROUPS, "compare", "seed"}
            near = having(cells[0].config, key) or suggest(key, known)
            if key.partition(".")[0] in ("effect", "effects"):
                near = f"write 'effects={{{tasks[0]}: 0.02}}'"
            raise ConfigError(f"unknown option {key}", "compare", near)
    axes_of = [place.values for place in places] + [arm.values for arm in arms]
    seen = {key for values in axes_of for key, _ in values}
    stated = [options.tasks.get(task, {}) for task in tasks]
    beside = {
        key: value
        for key, value in fixed.items()
        if not key.startswith(NO_EFFECT) and key not in seen
        if any(key not in of_task or of_task[key] != value for of_task in stated)
    }
    return Plan(places, arms, baselines, list(pairs), cells, *varied_places(cells), fixed=beside)


def settings_of(stated: Values, words: Axes) -> tuple[list[tuple[tuple[str, Any], ...]], Values]:
    """The settings that make the places of a task, and the values that all its places share.

    Args:
        stated: values that the declaration gives to the task; a list is an axis.
        words: axes of the command line, which win.
    """
    if any(f"trainer.{key}" in words for key in LIMITS):  # one limit takes the place of both
        stated = {k: v for k, v in stated.items() if k.removeprefix("trainer.") not in LIMITS}
    axes = {k: v if isinstance(v, list) else [v] for k, v in stated.items() if is_setting(k)}
    axes |= {key: values for key, values in words.items() if is_setting(key)}
    check_values(axes)
    varied = {k: v for k, v in axes.items() if len(v) > 1 or k == "model.depth"}
    rest = {key: values[0] for key, values in axes.items() if key not in varied}
    return product(varied), {k: v for k, v in stated.items() if not is_setting(k)} | rest
