"""What fair tuning tries: the same grid, budget and seeds for every arm, and how one is chosen.

A grid is the configured value of an option times some factors. All arms that meet at a place try
the same factors: where the best one of any arm lies at an end, all of them go on to that side.
Several options are tuned one after another, each at the best values of those before it.
"""

from __future__ import annotations

import copy
import itertools
import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from zoo.compare.analysis.runs import Number
from zoo.compare.design.axes import Axes, Values, is_setting
from zoo.compare.design.cell import Cell
from zoo.compare.design.plan import Plan
from zoo.compare.design.spec import Comparison
from zoo.compare.design.validate import check_size
from zoo.config.compose import change, having
from zoo.config.options import as_word, is_number
from zoo.config.tree import flatten
from zoo.errors import ConfigError, suggest

STEP = 2.0  # between neighbours of a grid
FACTORS = (1 / 4, 1 / 2, 1.0, 2.0, 4.0)  # of the configured value
FURTHER = 2  # steps beyond an end
MOST = len(FACTORS) + 2 * FURTHER  # values of one option
SHIFT = 2_000_000  # the first seed of tuning
BUDGET = ("trainer.max_steps", "trainer.max_epochs")
SHORT = {"lr": "optimizer.lr"}
Scores = Sequence[Number | None]  # on validation, one for each seed; None: it did not end


def tuned_options(options: Comparison, plan: Plan, axes: Axes) -> list[str]:
    """The names of the options that are tuned, none by default.

    Args:
        options: as declared.
        plan: of the comparison at the configured values.
        axes: that the command line adds.

    Errors:
        ConfigError: an option that some arm lacks, that is no number above zero or that cannot be
            tuned; too many runs.
    """
    names = [SHORT.get(name, name) for name in options.tune]
    if names and options.noise:
        what = "an arm that is compared with itself cannot be tuned"
        raise ConfigError(what, "tune beside noise", "leave one of the two out")
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{name} is tuned twice", "tune", "name it once")
        if name in BUDGET:
            what = f"{name} is the budget, which is the same for all arms"
            raise ConfigError(what, "tune", "name another option")
        if is_setting(name) or name == "seed":
            what = f"{name} makes {'pairs' if name == 'seed' else 'places'}"
            raise ConfigError(f"{what} and cannot be tuned", "tune", "name another option")
        if len(axes.get(name, ())) > 1:
            what = f"{name} has several values and is tuned"
            raise ConfigError(what, "tune", "leave one of the two out")
        for cell in models(plan):
            check_tunable(name, cell)
    searches = len(names) * len(plan.places) * len(plan.arms)
    if names:
        check_size(2 * len(plan.cells) + searches * MOST * options.tune_seeds, options)
    return names


def models(plan: Plan) -> list[Cell]:
    """One cell of every arm at every place."""
    return list({(cell.place, cell.arm): cell for cell in plan.cells}.values())


def check_tunable(name: str, cell: Cell) -> None:
    """ConfigError unless an option of a cell is a number above zero."""
    flat = flatten(cell.config.plain())
    known = {key: value for key, value in flat.items() if not key.startswith(("choices.", "run."))}
    where = f"tune: {cell.place.title()}, {cell.arm}"
    if name not in known:
        fixed = {"seed", *filter(is_setting, known)}
        numbers = [key for key, value in known.items() if is_number(value) and key not in fixed]
        near = having(cell.config, name) or suggest(name, numbers)
        raise ConfigError(f"unknown option {name}", where, near)
    value = known[name]
    if not is_number(value):
        what = f"{name}={as_word(value)} is no number"
        raise ConfigError(what, where, f"give it one, {name}=NUMBER, or tune another option")
    if value <= 0:
        what = f"{name}={value} times any factor is no grid"
        raise ConfigError(what, where, f"give it a value above 0: {name}=NUMBER")


def seeds_of_tuning(count: int, pairs: Collection[int]) -> list[int]:
    """The seeds of all tuning runs, none of which is a pair's.

    >>> seeds_of_tuning(2, [0, 1, 2_000_000])
    [2000001, 2000002]
    """
    return list(itertools.islice((s for s in itertools.count(SHIFT) if s not in pairs), count))


def value_at(cell: Cell, option: str, factor: float) -> Number:
    """The configured value of an option times a factor; whole where both numbers are whole."""
    configured = flatten(cell.config.plain())[option]
    value = configured * factor
    return int(value) if type(configured) is int and value.is_integer() else value


def changed(cell: Cell, values: Values, seed: int, own_data: bool = False) -> Cell:
    """A cell with other values of tuned options and another seed.

    Args:
        cell: to change.
        values: of the options.
        seed: of the run.
        own_data: whether the seed is also that of its data.

    Errors:
        ConfigError: an option does not take its value.
    """
    config = copy.deepcopy(cell.config)
    seeds = {"seed": seed, **({"data.seed": seed} if own_data else {})}
    change(config, {**values, **seeds}, "tune")
    return replace(cell, config=config.check(), tuned={**cell.tuned, **values})


def is_allowed(cell: Cell, values: Values) -> bool:
    """Whether the options of a cell take these values."""
    try:
        changed(cell, values, cell.config.seed)
    except ConfigError:
        return False
    return True


def rank(scores: Scores, higher_is_better: bool) -> float:
    """The mean of the scores with the better ones on top; a run that did not end is the worst."""
    known = [score for score in scores if score is not None]
    if not scores or len(known) < len(scores):
        return -math.inf
    return statistics.fmean(known) * (1 if higher_is_better else -1)


def best(tried: Mapping[float, Scores], higher_is_better: bool) -> float:
    """The factor with the best scores; of equal ones that nearest to the configured value.

    >>> best({0.5: [0.7, 0.8], 1.0: [0.9, None], 2.0: [0.8, 0.7], 4.0: [0.1, 0.1]}, True)
    0.5
    """
    return max(
        tried,
        key=lambda factor: (
            rank(tried[factor], higher_is_better),
            -abs(math.log2(factor)),
            -factor,
        ),
    )


def beyond(tried: Collection[float], chosen: float) -> Iterator[float]:
    """The factors to try next: beyond an end where the best one lies, up to two steps.

    >>> list(beyond(FACTORS, 4.0)), list(beyond([*FACTORS, 8.0, 16.0], 16.0))
    ([8.0], [])
    """
    room = STEP**FURTHER
    if chosen == max(tried) and chosen < FACTORS[-1] * room:
        yield chosen * STEP
    if chosen == min(tried) and chosen > FACTORS[0] / room:
        yield chosen / STEP


def largest_stable(trained: Mapping[Number, bool]) -> Number | None:
    """The largest value at which every run trained; None without any.

    >>> largest_stable({0.1: False, 0.2: True, 0.4: False})
    0.2
    """
    return max((value for value, did in trained.items() if did), default=None)
