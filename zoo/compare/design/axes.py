"""The axes of a comparison: places where arms meet, arms, and what each is compared with.

Axes of the command line fall in three: `task`, `data`, options of the data and `model.depth` are
settings, where arms meet; `seed` makes the pairs; every other axis makes arms.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import ConfigError

SHIFT = 1_000_000  # of the seeds when an arm is compared with itself
Values = dict[str, Any]  # of options and choices, as words of the command line give them
Axes = dict[str, list[Any]]


@dataclass(frozen=True)
class Place:
    """Where arms meet: a task, its data and a depth.

    Args:
        task: name of the task.
        values: what else is set there, of the axes that have several values.
    """

    task: str
    values: tuple[tuple[str, Any], ...]

    @property
    def depth(self) -> Any:
        """The depth, if it is an axis."""
        return dict(self.values).get("model.depth")

    @property
    def family(self) -> str:
        """The title without the depth: along a family the gap may grow with depth."""
        return Place(self.task, tuple(p for p in self.values if p[0] != "model.depth")).title()

    def title(self) -> str:
        """As people read it.

        >>> Place("cnn", (("model.depth", 8),)).title()
        'cnn, depth 8'
        """
        return ", ".join([self.task, *(f"{short(key)} {value}" for key, value in self.values)])


@dataclass(frozen=True)
class Arm:
    """A named set of values.

    Args:
        name: of the arm.
        values: what it sets.
        shift: of its seeds against those of the pairs, to compare an arm with itself.
    """

    name: str
    values: tuple[tuple[str, Any], ...]
    shift: int = 0


def short(key: str) -> str:
    """The last part of an option's name."""
    return key.rpartition(".")[2]


def is_setting(key: str) -> bool:
    """Whether an axis says where arms meet."""
    return key in ("task", "data", "model.depth") or key.startswith("data.")


def product(axes: Axes) -> list[tuple[tuple[str, Any], ...]]:
    """Every combination of the values of some axes."""
    return [tuple(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def arms_of(axes: Axes) -> list[Arm]:
    """The arms that some axes make, named by the values of those with several."""
    several = [key for key, values in axes.items() if len(values) > 1] or list(axes)[:1]

    def word(key: str, value: Any) -> str:
        return value if isinstance(value, str) else f"{short(key)} {value}"

    return [
        Arm(", ".join(word(key, value) for key, value in values if key in several), values)
        for values in product(axes)
    ]


def baselines_of(arms: Sequence[Arm], axes: Axes, baseline: Any) -> dict[str, str]:
    """The arm that each other one is compared with.

    It is equal but for the axes that have the baseline among their values, or the arm of that name.

    Errors:
        ConfigError: no axis has this value, and no arm this name.
    """
    if len(arms) < 2:
        return {}
    several = {key: values for key, values in axes.items() if len(values) > 1}
    if baseline is None:
        first = next(iter(several.values()))[0]
        baseline = "plain" if any("plain" in values for values in several.values()) else first
    if any(arm.name == baseline for arm in arms):
        return {arm.name: baseline for arm in arms if arm.name != baseline}
    holders = [key for key, values in several.items() if baseline in values]
    if not holders:
        known = dict.fromkeys(str(value) for values in several.values() for value in values)
        what = f"baseline={baseline} is no arm's value"
        raise ConfigError(what, "baseline", f"choose from {', '.join(known)}")
    found = {}
    for arm in arms:
        values = tuple((key, baseline if key in holders else v) for key, v in arm.values)
        reference = next(other.name for other in arms if other.values == values)
        if reference != arm.name:
            found[arm.name] = reference
    return found


def against_itself(arms: list[Arm], baselines: dict[str, str]) -> tuple[list[Arm], dict[str, str]]:
    """The baseline and itself under other seeds."""
    name = next(iter(baselines.values()), arms[0].name)
    values = next(arm.values for arm in arms if arm.name == name)
    again = f"{name} again"
    return [Arm(name, values), Arm(again, values, SHIFT)], {again: name}
