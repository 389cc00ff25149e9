"""Comparisons of a program that is not ours: its arms are runs of one command with other words."""

from __future__ import annotations

import functools
import itertools
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from zoo.compare.design import template
from zoo.compare.design.axes import (
    Arm,
    Axes,
    Place,
    Values,
    against_itself,
    baselines_of,
    product,
)
from zoo.compare.design.cell import Cell, digest, result_keys
from zoo.compare.design.command import Defaults
from zoo.compare.design.engine_words import take_engine
from zoo.compare.design.plan import Plan
from zoo.compare.design.script import KEYS, SHARED, Script, as_written, check_names, script_of
from zoo.compare.design.spec import Comparison, check_limit, check_pairs, take_single
from zoo.compare.design.template import WHERE
from zoo.compare.design.validate import check_seeds, check_size, check_values
from zoo.compare.design.waves import most_pairs
from zoo.config.config import Config
from zoo.config.options import checked
from zoo.errors import ConfigError, quoted

DEPTH = {"depth": "model.depth"}  # the placeholder of the depth, and its name in reports


@dataclass
class CommandCell(Cell):
    """One planned run of a command; its configuration is all that can change its result."""

    do: ClassVar[str] = "command"

    @property
    def kind(self) -> str:
        """A digest that all seeds of an arm at a place share."""
        return digest({**result_keys(self.config), "seed": None})

    @property
    def recipe(self) -> str:
        """A digest that all seeds of an arm share at all depths of a family."""
        apart = ("seed", "command.values.depth")
        keys = result_keys(self.config).items()
        kept = {k: v for k, v in keys if k not in apart and "{depth}" not in k}
        return digest({**kept, "command.text": template.words_of(kept["command.text"])})

    def command_line(self, defaults: Defaults) -> str:
        """The command that repeats the run, which has no defaults of choices."""
        options = self.config.sections["command"]
        values = {**options["values"], "seed": self.config.seed}
        return quoted(template.filled(options["text"], values))


def design(words: Sequence[str]) -> tuple[str, Comparison, Plan]:
    """The name, the options and the plan of a comparison of a command.

    Args:
        words: of the command line.

    Errors:
        ConfigError: a placeholder without values, a value without a placeholder, a program that
            does not exist, or an option that is unknown, missing or wrong.
    """
    commands = [word.partition("=")[2] for word in words if word.startswith(KEYS)]
    if len(commands) > 1:
        raise ConfigError("there are two commands", WHERE, "compare one at a time")
    command, rest = commands[0], [word for word in words if not word.startswith(KEYS)]
    named = as_written([word.removeprefix("compare.") for word in rest])
    engine, of_engine = take_engine(named, {})
    check_pairs(named)
    check_names(command, named)
    script = script_of(command, named)
    changes = {key: take_single(named, key, named[key]) for key in SHARED if key in named}
    check_limit(changes)
    options = Comparison(**checked(Comparison, {**changes, "engine": engine}, WHERE))
    options.engine_options = of_engine
    name = name_of(command)
    options.arms, options.effects = {a: {"arm": a} for a in script.arms}, {name: script.effect}
    return name, options, plan(name, script, options, named)


def name_of(command: str) -> str:
    """The name of a command: of its module, of the first file that it names, or of its program.

    >>> name_of("python -m lab.train --seed {seed}"), name_of("/bin/sh -c {arm}")
    ('lab.train', 'sh')
    """
    words = template.words_of(command)
    modules = [after for word, after in itertools.pairwise(words) if word == "-m"]
    files = [word for word in words[1:] if Path(word).is_file()]
    return modules[0] if modules else Path((files or words)[0]).stem


def plan(name: str, script: Script, options: Comparison, named: Axes) -> Plan:
    """The plan of a comparison of a command.

    Args:
        name: of the command, which stands where the name of a task does.
        script: options of the program.
        options: of the comparison.
        named: values of the placeholders, and the seeds if they are listed.

    Errors:
        ConfigError: an empty axis or a value twice, too many runs, fewer than two arms, a program
            that does not exist.
    """
    check_values(named)
    check_seeds(named)
    of_arms: Axes = {"arm": list(script.arms)}
    arms = [Arm(arm, (("arm", arm),)) for arm in script.arms]
    if len(arms) < 2 and not (arms and options.noise):
        raise ConfigError("there are fewer than two arms", "arms=...", "give two: arms=a,b")
    baselines = baselines_of(arms, of_arms, options.baseline)
    if options.noise:
        arms, baselines = against_itself(arms, baselines)
    given = {key: values for key, values in named.items() if key != "seed"}
    varied = {key: values for key, values in given.items() if len(values) > 1 or key == "depth"}
    fixed = {key: values[0] for key, values in given.items()}
    check_size(math.prod(map(len, varied.values())) * len(arms), options)
    settings = product(varied)
    places = [Place(name, tuple((DEPTH.get(k, k), v) for k, v in each)) for each in settings]
    families = math.prod(len(values) for key, values in varied.items() if key != "depth")
    pairs = named.get("seed", range(most_pairs(options, families * len(baselines))))
    check_size(len(places) * len(arms) * len(pairs), options)
    cell_of = functools.partial(cell, script, functools.cache(template.file_digest))
    cells: list[Cell] = [
        cell_of(place, arm, pair, {**fixed, **dict(setting)})
        for place, setting in zip(places, settings, strict=True)
        for pair, arm in itertools.product(pairs, arms)
    ]
    scripts = {name: script.command}
    beside = {key: value for key, value in fixed.items() if key not in varied}
    return Plan(places, arms, baselines, list(pairs), cells, scripts=scripts, fixed=beside)


def cell(
    script: Script,
    digest_of: Callable[[str], str],
    place: Place,
    arm: Arm,
    pair: int,
    values: Values,
) -> CommandCell:
    """One run of a command.

    Args:
        script: options of the program.
        digest_of: the content of the file at a path.
        place: where arms meet.
        arm: that runs.
        pair: number of the pair.
        values: of the placeholders but seed and arm.

    Errors:
        ConfigError: there is no such program.
    """
    values, seed = {**values, "arm": dict(arm.values)["arm"]}, pair + arm.shift
    whole = {**values, "seed": seed}
    check_program(template.filled(script.command, whole)[0])
    section = {
        "text": script.command,
        "values": values,
        "files": template.digests(script.command, whole, digest_of),
        "metric": script.metric,
        "higher_is_better": script.higher_is_better,
        "chance": script.chance,
    }
    config = Config({"task": place.task}, {"command": section}, seed)
    return CommandCell(place, arm.name, pair, config)


def check_program(program: str) -> None:
    """ConfigError where a program does not exist."""
    if not shutil.which(program):
        fix = "name one that can be run, such as python"
        raise ConfigError(f"there is no program {program!r}", WHERE, fix)
