"""Checks of a comparison before any configuration is composed."""

from __future__ import annotations

import json
import math

from zoo.compare.design.axes import Axes
from zoo.compare.design.spec import Comparison
from zoo.config import registry
from zoo.errors import ConfigError, suggest


def check_axes(options: Comparison, axes: Axes) -> None:
    """ConfigError for too many runs, an empty or doubled axis, a wrong seed or an unknown task."""
    pairs = 1 if "seed" in axes or options.pairs == "auto" else options.pairs
    check_size(math.prod(map(len, axes.values())) * pairs, options)
    check_values(axes)
    check_seeds(axes)
    tasks = registry.names("task")
    for key in ("effects", "references"):
        for task in getattr(options, key):
            if task not in tasks:
                raise ConfigError(f"unknown task {task!r}", key, suggest(task, tasks))


def check_seeds(axes: Axes) -> None:
    """ConfigError for a seed that is no integer of at least 0."""
    for seed in axes.get("seed", []):
        if type(seed) is not int or seed < 0:
            fix = "give integers of at least 0, such as seed=0,1,2 or seed=range(0,3)"
            raise ConfigError(f"seed={seed!r} is refused", "seed=...", fix)


def check_size(count: int, options: Comparison) -> None:
    """ConfigError for more runs than the limit."""
    if count > options.max_cells:
        fix = f"make the axes smaller, or add max_cells={count}"
        raise ConfigError(f"{count} runs are more than {options.max_cells}", "max_cells", fix)


def check_values(axes: Axes) -> None:
    """ConfigError for an axis without values or with the same one twice."""
    for key, values in axes.items():
        if not values:
            raise ConfigError(f"the axis {key} is empty", f"{key}=...", "give it values")
        seen = set()
        for value in values:
            text = json.dumps(value, default=str)
            if text in seen:
                raise ConfigError(f"{key} has {value} twice", f"{key}=...", "give it once")
            seen.add(text)
