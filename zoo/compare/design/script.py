"""What the command line says of a program that is not ours: its command, arms and metric."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge

from zoo.compare.design import template
from zoo.compare.design.axes import Axes, Values
from zoo.compare.design.engine_words import is_of_engine
from zoo.compare.design.spec import take_single
from zoo.compare.design.template import WHERE
from zoo.compare.design.validate import check_values
from zoo.config.options import as_word, checked, fields
from zoo.config.overrides import axes
from zoo.errors import ConfigError, close

KEYS = ("command=", "compare.command=")
FILLED = ("seed", "arm")  # placeholders that every command has
SHARED = ("baseline", "pairs", "limit", "noise", "max_cells", "workers", "minutes",
           "dry_run", "dir", "mirror")  # of `Comparison`, which hold too  # fmt: skip
PART = re.compile(r"""(?:'[^']*'|"[^"]*"|[^,])+""")  # of a text that commas separate
PARSED = {*SHARED, "effect", "chance", "higher_is_better", "seed", "depth"} - {"baseline"}
LOSSES = {"loss", "error", "err", "nll", "perplexity", "ppl", "mse", "rmse", "mae", "fid"}


class Script:
    """Options of `compare` for a program of one's own, beside those that name no task.

    Args:
        command: how it is run, with {seed}, {arm} and any other {NAME} to which words give values.
        arms: what stands for {arm}, separated by commas.
        metric: key of the JSON object that is the last line of the program's output.
        effect: the smallest difference of the metric that matters.
        chance: the metric of a guess, which a run scores that ends worse or without a number. None:
            not known.
        higher_is_better: whether a larger value of the metric is better.
    """

    def __init__(
        self,
        command: str = "",
        arms: list[str] = [],  # noqa: B006 (never changed)
        metric: str = "",
        effect: Annotated[float, Ge(0)] = 0.0,
        chance: float | None = None,
        higher_is_better: bool = True,
    ):
        self.command, self.arms, self.metric = command, arms, metric
        self.effect, self.chance, self.higher_is_better = effect, chance, higher_is_better


def names_program(words: Sequence[str]) -> bool:
    """Whether the words of the command line give a command to compare."""
    return any(word.startswith(KEYS) for word in words)


def as_written(words: Sequence[str]) -> Axes:
    """The values of words; those that a command takes are texts, as they were written.

    >>> as_written(["arms=1.10,1e-3", "depth=8", "pairs=8", "tag='a b'"])
    {'arms': ['1.10', '1e-3'], 'depth': [8], 'pairs': [8], 'tag': ['a b']}
    """
    named = axes(words)
    for word in words:
        key, _, text = word.partition("=")
        if key in PARSED or key not in named or is_of_engine(key):
            continue
        parts, values = PART.findall(text), named[key]
        if "(" in text or len(parts) != len(values):
            parts = [as_word(value) for value in values]
        both = zip(values, parts, strict=True)
        named[key] = [value if isinstance(value, str) else part.strip() for value, part in both]
    return named


def check_names(command: str, named: Axes) -> None:
    """ConfigError where placeholders and words do not fit together.

    Args:
        command: with placeholders.
        named: the words of the command line.
    """
    known = {*fields(Script), *SHARED, "engine"}
    names = template.placeholders(command)
    free = [name for name in names if name not in FILLED]
    for name in FILLED:
        if name not in names:
            fix = f"write {{{name}}} where the program takes its {name}"
            raise ConfigError(f"the command has no {{{name}}}", WHERE, fix)
    for name in free:
        if name in known:
            what = f"{{{name}}} is the name of an option"
            raise ConfigError(what, WHERE, "give the placeholder another name")
        if name not in named:
            fix = f"add {name}=VALUE, or write {{arm}} or {{seed}}"
            raise ConfigError(f"nothing stands for {{{name}}}", WHERE, fix)
    for key in named:
        if key not in known and key not in free and key != "seed":
            near = close(key, [*known, *free])
            hint = f"did you mean {' or '.join(near)}? or " if near and key != "task" else ""
            fix = f"{hint}write {{{key}}} in the command, or leave it out"
            raise ConfigError(f"unknown option {key} beside a command", f"{key}=...", fix)


def script_of(command: str, named: Axes) -> Script:
    """The options of the program, which are taken from the words of the command line.

    Args:
        command: with placeholders.
        named: the words; those that are options of the program are removed.
    """
    check_values({"arms": named.get("arms", [""])})
    values: Values = {"arms": named.pop("arms", [])}
    for key in fields(Script):
        if key in named:
            values[key] = take_single(named, key, [])
    script = Script(**checked(Script, {**values, "command": command}, WHERE))
    if not script.metric:
        fix = "name a key of the JSON object that the program prints last: metric=accuracy"
        raise ConfigError("no metric is named", "metric=...", fix)
    parts = re.split(r"[\W_]+", script.metric.lower())
    if LOSSES.intersection(parts) and "higher_is_better" not in values:
        what = f"whether a larger {script.metric} is better is not said"
        raise ConfigError(what, "metric=...", "add higher_is_better=false, or true")
    return script
