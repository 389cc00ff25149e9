"""The search for one option's best value, for one arm at one place, while it is under way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from zoo.compare.analysis.runs import Number
from zoo.compare.analysis.tuned import Search, Trial
from zoo.compare.analysis.validation import Validation
from zoo.compare.design.cell import Cell
from zoo.compare.design.tuning import best, beyond, changed, is_allowed, largest_stable, value_at


@dataclass
class Hunt:
    """A search under way: one option of one arm at one place.

    Args:
        cell: the arm there, at the best values of the options before.
        option: that is tuned.
        own_data: whether its runs have data of their own, which no pair has.
        ids: addresses of its runs, by factor.
        seen: what may be seen of them, by factor; None for a run without a result.
        refused: values that the option does not take.
    """

    cell: Cell
    option: str
    own_data: bool = False
    ids: dict[float, list[str]] = field(default_factory=dict)
    seen: dict[float, list[Validation | None]] = field(default_factory=dict)
    refused: set[Number] = field(default_factory=set)

    def value(self, factor: float) -> Number:
        """The configured value times a factor."""
        return value_at(self.cell, self.option, factor)

    def takes(self, factor: float) -> bool:
        """Whether the option takes its configured value times a factor; notes it where not."""
        allowed = is_allowed(self.cell, {self.option: self.value(factor)})
        if not allowed:
            self.refused.add(self.value(factor))
        return allowed

    def at(self, factor: float, seed: int) -> Cell:
        """The run at a factor with a seed, which is the number of a pair that nothing compares."""
        cell = changed(self.cell, {self.option: self.value(factor)}, seed, self.own_data)
        return replace(cell, pair=seed)

    @property
    def scores(self) -> dict[float, list[Number | None]]:
        """The scores on validation, by factor."""
        return {f: [v.score if v else None for v in self.seen[f]] for f in sorted(self.seen)}

    @property
    def results(self) -> list[Validation]:
        """What may be seen of all runs that have a result."""
        return [result for seen in self.seen.values() for result in seen if result]

    @property
    def chosen(self) -> float:
        """The best factor so far."""
        return best(self.scores, any(r.higher_is_better for r in self.results))

    def wanted(self) -> list[float]:
        """The factors to try next."""
        return [factor for factor in beyond(self.seen, self.chosen) if self.takes(factor)]

    def search(self) -> Search:
        """The record of this search."""
        results, scores = self.results, self.scores
        trained = {f: all(v and v.trained for v in seen) for f, seen in self.seen.items()}
        return Search(
            place=self.cell.place.title(),
            arm=self.cell.arm,
            option=self.option,
            metric=results[0].metric if results else "",
            higher_is_better=any(r.higher_is_better for r in results),
            configured=self.value(1.0),
            chosen=self.value(self.chosen),
            stable=largest_stable({self.value(f): trained[f] for f in scores}),
            trials=[Trial(value=self.value(f), scores=scores[f], runs=self.ids[f]) for f in scores],
            refused=sorted(self.refused),
            lost=sum(result is None for seen in self.seen.values() for result in seen),
            seconds=sum(r.seconds for r in results),
        )
