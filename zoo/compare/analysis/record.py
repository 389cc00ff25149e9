"""The record of a comparison, the one source of every report: its runs and what they show.

`Record.plain` gives it as JSON has it; what was declared and the runs are read back from there, and
all else is computed again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.compare.analysis.runs import Number, Run
from zoo.compare.analysis.statistics import Interval


@dataclass(frozen=True)
class View(Interval):
    """A gap that is judged in another way, and the number of its pairs."""

    pairs: int


@dataclass(kw_only=True)
class Contrast:
    """An arm against its baseline at a place; what needs a pair is None where there is none.

    Args:
        arm: its name.
        baseline: the other one's.
        pairs: of which both runs ended.
        differences: of the pairs, positive where the arm is better.
        gap: their mean.
        p: of exact sign flips.
        better: rate of pairs in which the arm is better.
        equivalence_p: of two one-sided tests.
        pairs_needed: to find a gap like this one.
        exact_only: whether Student's interval is not to be trusted.
        delta: the smallest difference that matters.
        seeds: the pairs.
        secondary: gaps that are judged in another way, by the name of the way.
        diverged: runs of the arm and of the baseline that did.
        mcnemar_p: whether one of them diverges more often.
        exploratory: whether it is outside of Holm's correction.
        holm_p: p after the correction.
        verdict: in words.
        needed: pairs of a verdict.
    """

    arm: str
    baseline: str
    pairs: int
    differences: list[float] = field(default_factory=list)
    gap: Interval | None = None
    p: float
    better: Interval | None = None
    equivalence_p: float | None = None
    pairs_needed: int | None = None
    exact_only: bool = False
    delta: float = 0.0
    seeds: list[int]
    secondary: dict[str, View | None]
    diverged: list[int]
    mcnemar_p: float
    exploratory: bool = False
    holm_p: float = 1.0
    verdict: str = ""
    needed: int = 0

    def plain(self) -> dict[str, Any]:
        """As JSON has it: without a pair, what needs one is left out."""
        row = asdict(self)
        return row if self.pairs else {key: row[key] for key in row if key not in OF_PAIRS}


OF_PAIRS = ("differences", "gap", "better", "equivalence_p", "pairs_needed", "exact_only", "delta")


@dataclass(kw_only=True)
class Arm:
    """All runs of an arm at a place: how many ended how, and their means.

    Args:
        arm: its name.
        launched: runs that were begun; `done`, `diverged` and `failed` are how they ended.
        waiting: runs that were not.
        divergence: rate of runs that diverged.
        mean: of the primary metric; likewise its standard deviation `sd`.
        train: mean of the metric on the training part.
        flops: of a step; the rest are means over runs as in `Run`.
    """

    arm: str
    launched: int
    waiting: int
    done: int
    diverged: int
    failed: int
    divergence: Interval | None
    mean: float | None
    sd: float | None
    train: float | None
    flops: Number | None
    examples: int | None
    parameters: float | None
    seconds: float | None
    seconds_per_step: float | None
    peak_memory_bytes: float | None


@dataclass(kw_only=True)
class Place:
    """A setting in which arms meet: `metric`, `higher_is_better` and `chance` are of its runs.

    Args:
        title: its name; the other facts are those of `Run`.
        arms: that have runs there.
        contrasts: of arms with their baselines.
        warnings: where two arms are not matched.
    """

    title: str
    task: str
    family: str
    depth: Any
    settings: dict[str, Any]
    metric: str | None
    higher_is_better: bool | None
    chance: Number | None
    arms: list[Arm]
    contrasts: list[Contrast]
    warnings: list[str]


@dataclass(kw_only=True)
class Slope:
    """How the gap of an arm grows when the depth doubles: the mean over pairs, and each pair's."""

    family: str
    arm: str
    baseline: str
    depths: list[Any]
    slope: Interval
    p: float
    each: list[float]
    holm_p: float = 1.0
    verdict: str = ""


@dataclass(kw_only=True)
class Average:
    """Interquartile means over tasks; `without` has the gap when a task is left out."""

    arm: str
    baseline: str
    tasks: list[str]
    iqm: float
    baseline_iqm: float
    without: dict[str, float]
    gap: Interval


@dataclass(frozen=True)
class Mechanism:
    """The rule of an arm, its mixing matrix if it has one, and a remark."""

    rule: str
    matrix: list[list[float]] | None
    note: str


@dataclass(frozen=True)
class Environment:
    """What runs ran on."""

    versions: dict[str, Any]
    machine: dict[str, Any]


@dataclass(kw_only=True)
class Declared:
    """What a comparison compares.

    Args:
        arms: what each sets.
        baselines: of every arm that has one.
        places: titles, in order.
        pairs: their numbers.
        effects: of each task the smallest difference that matters.
        references: of each task the score that counts as 1.
        published: rows of papers: task, name, score at each depth.
        null: whether an arm is compared with itself.
    """

    arms: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, str] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    pairs: list[int] = field(default_factory=list)
    effects: dict[str, Number] = field(default_factory=dict)
    references: dict[str, Number] = field(default_factory=dict)
    published: dict[str, dict[str, dict[str, Number]]] = field(default_factory=dict)
    null: bool = False


@dataclass(kw_only=True)
class Record:
    """A comparison; what is computed is empty while it is under way.

    Args:
        schema: of run folders.
        name: of its declaration.
        command: that repeats it.
        declared: what it compares.
        environments: on which its runs ran.
        places: with their arms and contrasts.
        slopes: of gaps over depth.
        overall: means over tasks.
        mixing: of each arm.
        cells: its runs.
        homes: folders that have the runs, where that is another one.
    """

    schema: int
    name: str
    command: str
    declared: Declared
    environments: list[Environment] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    slopes: list[Slope] = field(default_factory=list)
    overall: list[Average] = field(default_factory=list)
    mixing: dict[str, Mechanism] = field(default_factory=dict)
    cells: list[Run]
    homes: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        found = asdict(self) | {"cells": [run.plain() for run in self.cells]}
        for place, row in zip(self.places, found["places"], strict=True):
            row["contrasts"] = [contrast.plain() for contrast in place.contrasts]
        if not self.homes:
            del found["homes"]
        return found
