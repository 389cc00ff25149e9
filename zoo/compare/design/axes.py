"""The axes of a comparison: places where arms meet, arms, and what each is compared with.

An axis is an option with its values. `task`, `data`, options of the data and `model.depth` make the
places, `seed` makes the pairs, and every other axis makes arms.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import ConfigError

SEED_SHIFT = 1_000_000  # between an arm and itself in a null comparison
Values = dict[str, Any]  # of options and choices, by their names on the command line
Axes = dict[str, list[Any]]  # values of each option


@dataclass(frozen=True)
class Place:
    """Where arms meet: a task, its data and a depth.

    Args:
        task: name of the task.
        values: of the other axes that make places, where these have several values.
    """

    task: str
    values: tuple[tuple[str, Any], ...]

    @property
    def depth(self) -> Any:
        """The depth, or None where it is no axis."""
        return dict(self.values).get("model.depth")

    @property
    def family(self) -> str:
        """The title without the depth, which places that differ in depth alone share."""
        return Place(self.task, tuple(v for v in self.values if v[0] != "model.depth")).title()

    def title(self) -> str:
        """The name of the place in reports.

        >>> Place("cnn", (("model.depth", 8),)).title()
        'cnn, depth 8'
        """
        return ", ".join([self.task, *(f"{short(key)} {value}" for key, value in self.values)])


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared: a name for values of options.

    Args:
        name: of the arm.
        values: of its options.
        shift: added to the seeds of the pairs, to compare an arm with itself.
    """

    name: str
    values: tuple[tuple[str, Any], ...]
    shift: int = 0


def short(key: str) -> str:
    """The last part of an option's name."""
    return key.rpartition(".")[2]


def is_setting(key: str) -> bool:
    """Whether an axis makes places."""
    return key in ("task", "data", "model.depth") or key.startswith("data.")


def product(axes: Axes) -> list[tuple[tuple[str, Any], ...]]:
    """Every combination of the values of some axes, as pairs of option and value."""
    return [tuple(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def arms_of(axes: Axes) -> list[Arm]:
    """The arms that some axes make, named by the values of the axes that have several."""
    naming = [key for key, values in axes.items() if len(values) > 1] or list(axes)[:1]

    def label(key: str, value: Any) -> str:
        return value if isinstance(value, str) else f"{short(key)} {value}"

    return [
        Arm(", ".join(label(key, value) for key, value in values if key in naming), values)
        for values in product(axes)
    ]


def baselines_of(arms: Sequence[Arm], axes: Axes, baseline: Any) -> dict[str, str]:
    """For each arm but the baselines the name of the arm that it is compared with.

    Where `baseline` names an arm, that is this one. Where it is a value of axes, it is the arm with
    this value on those axes that is equal on all others.

    Args:
        arms: of the comparison.
        axes: that made them.
        baseline: name of an arm or value of an axis; None: `plain`, or else the first value.

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
    with_value = [key for key, values in several.items() if baseline in values]
    if not with_value:
        known = dict.fromkeys(str(value) for values in several.values() for value in values)
        what = f"baseline={baseline} is no arm's value"
        raise ConfigError(what, "baseline", f"choose from {', '.join(known)}")
    baselines = {}
    for arm in arms:
        values = tuple((key, baseline if key in with_value else v) for key, v in arm.values)
        reference = next(other.name for other in arms if other.values == values)
        if reference != arm.name:
            baselines[arm.name] = reference
    return baselines


def against_itself(arms: list[Arm], baselines: dict[str, str]) -> tuple[list[Arm], dict[str, str]]:
    """The arms and baselines of a null comparison: the baseline and itself under other seeds."""
    name = next(iter(baselines.values()), arms[0].name)
    values = next(arm.values for arm in arms if arm.name == name)
    again = f"{name} again"
    return [Arm(name, values), Arm(again, values, SEED_SHIFT)], {again: name}
