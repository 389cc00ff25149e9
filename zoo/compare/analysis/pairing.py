"""The differences of pairs: the primary ones, and the same runs judged in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from zoo.compare.analysis.record import View
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.verdict import estimate

SAME = {
    "branch_digest": "the arms start from different branches",
    "start_digest": "the arms start from branches that their init rule made different",
    "order_digest": "the arms see different batches",
    "data_digest": "the arms read different data",
}
Value = Callable[[Run], float | None]
Differences = dict[int, float]  # by pair
STARTS = ("branch_digest", "start_digest")  # that only arms of different connections must share


@dataclass(frozen=True)
class Pairing:
    """The runs of an arm and of its baseline at one place, by pair.

    Args:
        ours: runs of the arm.
        theirs: runs of the baseline.
    """

    ours: Mapping[int, Run]
    theirs: Mapping[int, Run]

    @classmethod
    def of(cls, runs: Sequence[Run], arm: str, baseline: str) -> Pairing:
        """The runs of two arms among those of a place."""
        return cls(*({r.pair: r for r in runs if r.arm == name} for name in (arm, baseline)))

    def differences(self, of: Value = lambda run: run.value, done: bool = False) -> Differences:
        """For each pair the arm's value less the baseline's; positive: the arm is better.

        Args:
            of: a run gives its value; pairs without it are left out.
            done: whether pairs with a run that diverged are left out.
        """
        found = {}
        for pair in sorted(self.ours.keys() & self.theirs.keys()):
            a, b = self.ours[pair], self.theirs[pair]
            ended = not done or a.status == b.status == "done"
            ours, theirs = of(a), of(b)
            if ended and ours is not None and theirs is not None:
                sign = 1 if a.higher_is_better else -1
                found[pair] = sign * (ours - theirs)
        return found

    def unequal(self, keys: Sequence[str]) -> str:
        """Why runs that ended were no pair, or nothing.

        Args:
            keys: of the digests that must be equal in a pair; all pairs read the same data.
        """
        told = (SAME[key] for key in keys if self.apart(key))
        read = {run.data_digest for both in self.ended() for run in both}
        return next(told, "the pairs read different data" if keys and len(read) > 1 else "")

    def ended(self) -> list[tuple[Run, Run]]:
        """The pairs of which both runs ended."""
        return [(self.ours[pair], self.theirs[pair]) for pair in self.differences()]

    def apart(self, key: str) -> bool:
        """Whether a digest differs in some pair; of older runs one may be unknown."""
        both = ((getattr(a, key), getattr(b, key)) for a, b in self.ended())
        return any(a != b for a, b in both if a and b)

    def diverged(self) -> tuple[set[int], set[int]]:
        """The pairs in which the arm diverged, and those in which the baseline did."""
        both = (self.ours, self.theirs)
        ours, theirs = ({p for p, r in x.items() if r.status == "diverged"} for x in both)
        return ours, theirs

    def secondary(self) -> dict[str, View | None]:
        """Gaps that are judged in another way than the primary one; None where there is none.

        `training`: on the training part. `best_on_validation`: at the step of lowest val/loss.
        `finished_only`: without pairs in which a run diverged, where there are some.
        """
        views = {
            "training": self.differences(lambda run: run.train),
            "best_on_validation": self.differences(lambda run: run.best),
            "finished_only": self.differences(done=True) if any(self.diverged()) else {},
        }
        return {
            name: view_of(list(found.values())) if found else None for name, found in views.items()
        }


def view_of(differences: Sequence[float]) -> View:
    """The mean of differences, with their number."""
    gap = estimate(differences)
    return View(gap.value, gap.low, gap.high, len(differences))
