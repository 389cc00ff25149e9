"""The record of a comparison: what it declares, its runs and what they show.

Every report is made from it. What was declared and the runs are read back from `compare.json`; all
else is computed again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Predicate

from zoo.compare.analysis.foreseen import Foreseen
from zoo.compare.analysis.noise import NoiseFloor
from zoo.compare.analysis.over_tasks import Average
from zoo.compare.analysis.runs import Number, Run
from zoo.compare.analysis.slopes import Slope
from zoo.compare.analysis.streams import StreamOfRun
from zoo.compare.analysis.summaries import PlaceSummary
from zoo.compare.analysis.tuned import Tuning

Depth = Annotated[str, Predicate(str.isdecimal)]  # JSON has only texts for keys


@dataclass(frozen=True)
class Mixing:
    """What the connection of an arm mixes as training starts.

    Args:
        rule: name of the connection.
        matrix: mixing matrix of a short stack; None where the rule has none.
        note: why there is none, or how it was made.
    """

    rule: str
    matrix: list[list[float]] | None
    note: str


@dataclass(frozen=True)
class Environment:
    """Versions of the software and the machine that some runs had."""

    versions: dict[str, Any]
    machine: dict[str, Any]


@dataclass(kw_only=True)
class Declared:
    """What a comparison compares.

    Args:
        arms: for each arm its options.
        baselines: for each arm but the baselines the arm that it is compared with.
        places: titles of the places, in order.
        pairs: numbers of the pairs.
        effects: for each task the smallest difference that matters.
        references: for each task the score that counts as 1 in averages.
        published: scores of papers by task, name of the row and depth.
        null: whether an arm is compared with itself, which measures the noise.
        test: of the pairs: `fixed` for a number of them that was fixed, `auto` for one that is
            valid at every look.
        varied: titles of the places at which each pair has data of its own.
        resplit: titles of those among them where these are splits of one set; None where an
            earlier version did not say.
        tuned: options of which every arm has its own best value on validation.
        scripts: commands that are compared in the place of tasks, by their names.
        fixed: options that the command line sets for all runs, other than the declaration and axes.
    """

    arms: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, str] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    pairs: list[int] = field(default_factory=list)
    effects: dict[str, Number] = field(default_factory=dict)
    references: dict[str, Number] = field(default_factory=dict)
    published: dict[str, dict[str, dict[Depth, Number]]] = field(default_factory=dict)
    null: bool = False
    test: Literal["fixed", "auto"] = "fixed"
    varied: list[str] = field(default_factory=list)
    resplit: list[str] | None = None
    tuned: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Record:
    """A comparison; fields that are computed from runs are empty while it is under way.

    Args:
        schema: number of the format.
        name: of the comparison.
        command: command line that repeats it.
        exploratory: sentences on what no plan foresaw; where there is one, all verdicts explore.
        plan: that was locked before the first run; None where there is none, or several.
        declared: what it compares.
        environments: software and machines of its runs.
        places: summary of each place.
        slopes: growth of the gaps with depth.
        overall: averages over tasks.
        noise: of every place where an arm is compared with itself.
        mixing: for each arm what its connection mixes.
        streams: what the streams of one pair do by depth, at the deepest places.
        cells: its runs.
        tuning: what was tuned, and the runs without it; None where nothing was.
        homes: folders that hold the runs, where these lie in other comparisons.
    """

    schema: int
    name: str
    command: str
    exploratory: list[str] = field(default_factory=list)
    plan: Foreseen | None = None
    declared: Declared
    environments: list[Environment] = field(default_factory=list)
    places: list[PlaceSummary] = field(default_factory=list)
    slopes: list[Slope] = field(default_factory=list)
    overall: list[Average] = field(default_factory=list)
    noise: list[NoiseFloor] = field(default_factory=list)
    mixing: dict[str, Mixing] = field(default_factory=dict)
    streams: list[StreamOfRun] = field(default_factory=list)
    cells: list[Run]
    tuning: Tuning | None = None
    homes: list[str] = field(default_factory=list)

    @property
    def phases(self) -> dict[str, list[Run]]:
        """All runs, by what they are for."""
        tuning = self.tuning
        more = tuning and {"configured values": tuning.configured, "tuning": tuning.runs}
        return {"comparison": self.cells, **(more or {})}

    def plain(self) -> dict[str, Any]:
        """The record as JSON."""
        plain = asdict(self) | {"cells": [run.plain() for run in self.cells]}
        for place, row in zip(self.places, plain["places"], strict=True):
            row["contrasts"] = [contrast.plain() for contrast in place.contrasts]
        if self.tuning:
            plain["tuning"] = self.tuning.plain()
        for key in ("homes", "tuning"):
            if not plain[key]:
                del plain[key]
        return plain
