"""Pairs of runs: their differences, and whether the two runs of each are comparable."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from zoo.compare.analysis.runs import WAITING, Run
from zoo.compare.analysis.signs import Test, median_interval
from zoo.compare.analysis.summaries import View

PAIRED_DIGESTS = {  # that both runs of a pair share, and what it means if they do not
    "branch_digest": "the arms start from different branches",
    "start_digest": "the arms start from branches that their init rule made different",
    "order_digest": "the arms see different batches",
    "data_digest": "the arms read different data",
}
START_DIGESTS = ("branch_digest", "start_digest")  # shared if only the connection differs
ValueOf = Callable[[Run], float | None]
Differences = dict[int, float]  # by number of the pair


@dataclass(frozen=True)
class Pairing:
    """The runs of an arm and of its baseline at one place.

    Args:
        ours: runs of the arm, by number of the pair.
        theirs: runs of the baseline, by number of the pair.
    """

    ours: Mapping[int, Run]
    theirs: Mapping[int, Run]

    @classmethod
    def of(cls, runs: Sequence[Run], arm: str, baseline: str) -> Pairing:
        """The pairing of two arms among the runs at a place."""
        return cls(*({r.pair: r for r in runs if r.arm == name} for name in (arm, baseline)))

    def differences(
        self, measure: ValueOf = lambda run: run.value, only_done: bool = False
    ) -> Differences:
        """For each pair the arm's value less the baseline's; positive: the arm is better.

        Args:
            measure: takes the value of a run; pairs where it gives None are left out.
            only_done: whether pairs with a run that diverged are left out.
        """
        differences = {}
        for pair in sorted(self.ours.keys() & self.theirs.keys()):
            a, b = self.ours[pair], self.theirs[pair]
            counts = not only_done or a.status == b.status == "done"
            ours, theirs = measure(a), measure(b)
            if counts and ours is not None and theirs is not None:
                sign = 1 if a.higher_is_better else -1
                differences[pair] = sign * (ours - theirs)
        return differences

    def why_unequal(self, keys: Sequence[str], varied: bool = False) -> str:
        """Why the two arms may not be compared pair by pair; empty where they may.

        Args:
            keys: of the digests that both runs of a pair must share; with any, all pairs must have
                read the same data.
            varied: whether each pair has data of its own, by plan.
        """
        if self.same_for_all_seeds():
            return "no seed changes any score; does the program use it?"
        reasons = (PAIRED_DIGESTS[key] for key in keys if self.differ(key))
        data = {run.data_digest for both in self.ended() for run in both}
        mixed = keys and len(data) > 1 and not varied
        return next(reasons, "the pairs read different data" if mixed else "")

    def same_for_all_seeds(self) -> bool:
        """Whether nothing tells three pairs or more apart: no digest, and one score for each arm.

        Runs that failed to train do not count.
        """
        runs = [run for both in self.ended() for run in both if not run.untrained]
        unknown = not any(getattr(run, key) for run in runs for key in PAIRED_DIGESTS)
        scores = {(run.arm, run.value) for run in runs}
        enough = len({run.pair for run in runs}) > 2
        return unknown and enough and len(scores) == len({arm for arm, _ in scores})

    def ended(self) -> list[tuple[Run, Run]]:
        """The pairs of which both runs ended."""
        return [(self.ours[pair], self.theirs[pair]) for pair in self.differences()]

    def differ(self, key: str) -> bool:
        """Whether a digest differs in some pair; digests that older runs lack do not count."""
        both = ((getattr(a, key), getattr(b, key)) for a, b in self.ended())
        return any(a != b for a, b in both if a and b)

    def diverged(self) -> tuple[set[int], set[int]]:
        """The numbers of the pairs in which the arm diverged, and in which the baseline did."""
        ours, theirs = (
            {pair for pair, run in runs.items() if run.status == "diverged"}
            for runs in (self.ours, self.theirs)
        )
        return ours, theirs

    def untrained(self) -> list[tuple[bool, bool]]:
        """Whether the run of the arm failed to train, and that of the baseline, by pair.

        So may be a run without a score: it diverged where chance is not known.
        """
        both = [(self.ours[pair], self.theirs[pair]) for pair in self.ours if pair in self.theirs]
        return [(a.untrained, b.untrained) for a, b in both if a.ended and b.ended]

    def stake(self) -> float:
        """What a score loses where a run fails to train: infinity where chance is not known."""
        losses = []
        for runs in (self.ours, self.theirs):
            scored = [run for run in runs.values() if run.ended and run.value is not None]
            above = [run.above_chance for run in scored if run.above_chance is not None]
            if len(above) < len(scored):
                return math.inf
            losses += [abs(statistics.fmean(above))] if above else []
        return max(losses, default=math.inf)

    def waiting(self) -> int:
        """The number of pairs of which a run has not run yet."""
        both = [(run, self.theirs.get(pair, run)) for pair, run in self.ours.items()]
        return sum(WAITING in (ours.status, theirs.status) for ours, theirs in both)

    def secondary(self, test: Test) -> dict[str, View | None]:
        """Gaps by other measures than the primary one; None where no pair has the measure.

        `training`: on the training part. `best_on_validation`: at the step of lowest val/loss.
        `finished_only`: without pairs in which a run diverged; None where none did.

        Args:
            test: whose intervals the gaps have.
        """
        views = {
            "training": self.differences(lambda run: run.train),
            "best_on_validation": self.differences(lambda run: run.best),
            "finished_only": self.differences(only_done=True) if any(self.diverged()) else {},
        }
        return {
            name: view_of(list(differences.values()), test) if differences else None
            for name, differences in views.items()
        }


def view_of(differences: Sequence[float], test: Test) -> View:
    """The median of some differences, with its interval by a test, and their number."""
    gap = median_interval(differences, test)
    return View(gap.value, gap.low, gap.high, len(differences))
