"""What tuning found for every arm at every place, and the gaps before and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from typing_extensions import TypedDict

from zoo.compare.analysis.pairing import Pairing, view_of
from zoo.compare.analysis.runs import Number, Run
from zoo.compare.analysis.signs import Test
from zoo.compare.analysis.summaries import View


class Trial(TypedDict):
    """A value that was tried.

    Args:
        value: of the option.
        scores: on validation at the last step, one for each seed; None for a run without an end.
        runs: their addresses.
    """

    value: Number
    scores: list[Number | None]
    runs: list[str]


@dataclass(kw_only=True)
class Search:
    """The search for one option's best value, for one arm at one place.

    Args:
        place: title of the place.
        arm: name of the arm.
        option: that was tuned.
        metric: on validation that judged.
        higher_is_better: whether a larger value of that metric is better.
        configured: value of the option without tuning.
        chosen: its best value.
        stable: its largest value at which every run ended better than chance; None without any.
        trials: all values that were tried, from the smallest on.
        refused: values of the grid that the option does not take.
        lost: number of runs without a result.
        seconds: of all its runs.
    """

    place: str
    arm: str
    option: str
    metric: str
    higher_is_better: bool
    configured: Number
    chosen: Number
    stable: Number | None
    trials: list[Trial]
    refused: list[Number]
    lost: int
    seconds: Number

    @property
    def runs(self) -> int:
        """The number of its runs."""
        return sum(len(trial["runs"]) for trial in self.trials)

    @property
    def at_the_edge(self) -> bool:
        """Whether the best value is the smallest or the largest that was tried."""
        return self.chosen in (self.trials[0]["value"], self.trials[-1]["value"])


@dataclass(frozen=True)
class Beside:
    """A gap at the configured values and at each arm's own best ones.

    Args:
        place: title of the place.
        arm: name of the arm.
        baseline: name of the arm that it is compared with.
        configured: the gap at the configured values; None without a pair.
        tuned: the gap at the best values; None without a pair.
    """

    place: str
    arm: str
    baseline: str
    configured: View | None
    tuned: View | None


@dataclass(kw_only=True)
class Tuning:
    """What tuning did.

    Args:
        seeds: of its runs.
        searches: for each option of each arm at each place.
        configured: the runs of all pairs at the configured values.
        runs: of all searches, with their values on validation.
        gaps: at the configured values and at the best ones.
    """

    seeds: list[int]
    searches: list[Search]
    configured: list[Run]
    runs: list[Run] = field(default_factory=list)
    gaps: list[Beside] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """What tuning did, as JSON."""
        runs = {"configured": self.configured, "runs": self.runs}
        return asdict(self) | {key: [run.plain() for run in some] for key, some in runs.items()}


def gaps_beside(
    tuning: Tuning, runs: Sequence[Run], baselines: Mapping[str, str], test: Test
) -> list[Beside]:
    """Every gap at the configured values and at each arm's best ones.

    Args:
        tuning: with the runs at the configured values.
        runs: at the best values.
        baselines: for each arm but the baselines the arm that it is compared with.
        test: of the differences.
    """
    places = dict.fromkeys(run.place for run in tuning.configured)

    def gap(runs: Sequence[Run], place: str, arm: str) -> View | None:
        here = [run for run in runs if run.place == place]
        differences = Pairing.of(here, arm, baselines[arm]).differences()
        return view_of(list(differences.values()), test) if differences else None

    return [
        Beside(place, arm, baseline, gap(tuning.configured, place, arm), gap(runs, place, arm))
        for place in places
        for arm, baseline in baselines.items()
    ]
