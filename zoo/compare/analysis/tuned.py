"""What tuning found for every arm at every place, and the gaps before and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from zoo.compare.analysis.pairing import Pairing, view_of
from zoo.compare.analysis.runs import Number, Run
from zoo.compare.analysis.signs import Test
from zoo.compare.analysis.summaries import View
from zoo.compare.typed import typed
from zoo.errors import DataError
from zoo.run_folder import ENDED, RunFolder


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
        gaps: at the configured values and at the best ones.
    """

    seeds: list[int]
    searches: list[Search]
    configured: list[Run]
    gaps: list[Beside] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """What tuning did, as JSON."""
        return asdict(self) | {"configured": [run.plain() for run in self.configured]}


@dataclass(kw_only=True)
class Validation:
    """All that tuning may see of a run: nothing of its test part is among it.

    Args:
        metric: the primary one, on validation.
        higher_is_better: whether a larger value is better.
        score: at the last step; None where the run diverged.
        chance: score of guessing; None where it is not known.
        seconds: that it took.
    """

    metric: str
    higher_is_better: bool
    score: Number | None
    chance: Number | None
    seconds: Number

    @property
    def trained(self) -> bool:
        """Whether the run came to its end, better than chance."""
        if self.score is None or self.chance is None:
            return self.score is not None
        return self.score > self.chance if self.higher_is_better else self.score < self.chance


def validation_of(id: str, folders: Sequence[Path]) -> Validation | None:
    """What tuning may see of a run, from the first folder that has it; None without a result.

    Args:
        id: address of the run.
        folders: of comparisons.

    Errors:
        DataError: a value in the result is missing or has a wrong type.
    """
    for folder in (RunFolder(folder / "cells" / id) for folder in folders):
        row = folder.result()
        if row.get("status") in ENDED:
            try:
                return typed(Validation, of_validation(row))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                what = f"the result has no score on validation: {error}"
                fix = "remove the folder of this run; the comparison's command runs it again"
                raise DataError(what, str(folder.path), fix) from None
    return None


def of_validation(row: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a result that tuning may see."""
    metric = f"val/{row['primary']['name'].partition('/')[2]}"
    diverged = row["status"] == "diverged"
    return {
        "metric": metric,
        "higher_is_better": row["primary"]["higher_is_better"],
        "score": None if diverged else row["metrics"][metric],
        "chance": row["chance"].get(metric),
        "seconds": row["seconds"],
    }


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
