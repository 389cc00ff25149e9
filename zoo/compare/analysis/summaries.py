"""What the runs of a comparison show: arms and gaps at each place, growth with depth, averages."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.compare.analysis import signs
from zoo.compare.analysis.runs import JsonDepth, Number
from zoo.compare.analysis.signs import ALPHA
from zoo.compare.analysis.statistics import Interval


@dataclass(frozen=True)
class View(Interval):
    """The gap of a contrast by another measure, and the number of pairs that have it."""

    pairs: int


@dataclass(frozen=True)
class Sources:
    """Where the uncertainty of a mean gap comes from.

    Args:
        gap: its mean with an interval for other pairs and other test examples.
        pairs: share of the variance that other seeds, or other data, make.
        examples: share that the choice of the test examples makes.
    """

    gap: Interval
    pairs: float
    examples: float


@dataclass(kw_only=True)
class Contrast:
    """An arm against its baseline at a place; without a pair, what needs one keeps its default.

    Args:
        arm: name of the arm.
        baseline: name of the arm that it is compared with.
        pairs: number of pairs of which both runs ended.
        differences: score of the arm less that of the baseline, of each pair; positive: better.
        gap: median of the differences with its interval.
        mean: of the differences.
        p: that neither arm is ahead in most pairs.
        beyond_p: that neither is ahead by more than delta in most pairs.
        better: rate of pairs in which the arm is better.
        equivalence_p: that half of all pairs, or more, differ by delta or more to one side.
        delta: the smallest difference that matters.
        seeds: numbers of the pairs.
        secondary: gaps by other measures: `training`, `best_on_validation`, `finished_only`.
        diverged: number of runs of the arm and of the baseline that diverged.
        untrained: number of their runs that failed to train: diverged, or no better than chance.
        failure_p: that both fail to train equally often.
        failures_matter: whether as many failures as are not excluded could move the mean by delta.
        exploratory: whether it is none of the primary hypotheses; then its corrected p are five
            times Holm's, so that 5 % is the limit here too.
        holm_p: `beyond_p` after Holm's correction.
        ahead_holm_p: `p` after what that correction leaves of it.
        equivalence_holm_p: `equivalence_p` after Holm's correction.
        verdict: what may be said of the gap.
        failures: what may be said of runs that failed to train.
        sources: of the uncertainty of the mean gap, where the outcomes of all examples are known.
        needed: number of pairs that a verdict needs.
        at_best: the verdict at the best step on validation, where it is another one.
        warnings: why the two are not alike in size, in time or in their start, and whether other
            test examples may tell another story.
        anytime: whether p is valid whenever one stops.
        waiting: number of pairs that have not run yet.
    """

    arm: str
    baseline: str
    pairs: int = 0
    differences: list[float] = field(default_factory=list)
    gap: Interval | None = None
    mean: float | None = None
    p: float = 1.0
    beyond_p: float = 1.0
    better: Interval | None = None
    equivalence_p: float = 1.0
    delta: float
    seeds: list[int]
    secondary: dict[str, View | None]
    diverged: list[int]
    untrained: list[int]
    failure_p: float
    failures_matter: bool = False
    exploratory: bool = False
    holm_p: float = 1.0
    ahead_holm_p: float = 1.0
    equivalence_holm_p: float = 1.0
    verdict: str = ""
    failures: str = ""
    sources: Sources | None = None
    needed: int = 0
    at_best: str = ""
    warnings: list[str] = field(default_factory=list)
    anytime: bool = False
    waiting: int = 0

    @property
    def differs(self) -> bool:
        """Whether the verdict says that one of the two is better, or ahead."""
        ahead = self.holm_p <= ALPHA or self.ahead_holm_p <= ALPHA < self.equivalence_holm_p
        return ahead and self.pairs >= self.needed and not self.verdict.startswith("blocked")

    @property
    def differs_beyond(self) -> bool:
        """Whether the verdict says that one of the two is better, by more than delta."""
        return self.differs and self.holm_p <= ALPHA

    @property
    def leads(self) -> int:
        """Who is better, or ahead, by the verdict: 1 the arm, -1 the baseline, 0 nobody."""
        least = self.delta if self.holm_p <= ALPHA else 0.0
        test = signs.anytime_p if self.anytime else signs.fixed_p
        return signs.side(self.differences, least, test) if self.differs else 0

    @property
    def decided(self) -> bool:
        """Whether it is shown that the arms differ, or that they are alike, or never will be."""
        shown = min(self.holm_p, self.equivalence_holm_p) <= ALPHA and self.pairs >= self.needed
        return shown or self.verdict.startswith("blocked")

    def plain(self) -> dict[str, Any]:
        """The contrast as JSON; without a pair, the keys that need one are left out."""
        row = asdict(self)
        return row if self.pairs else {key: row[key] for key in row if key not in OF_PAIRS}


OF_PAIRS = ("differences", "gap", "mean", "better", "beyond_p", "equivalence_p")


@dataclass(kw_only=True)
class ArmSummary:
    """All runs of an arm at a place: how many ended in which way, and their means.

    Args:
        arm: name of the arm.
        launched: number of runs that were begun.
        waiting: number of runs that have not begun.
        done: number of runs that trained to the end.
        diverged: number of runs that diverged.
        failed: number of runs that were lost.
        divergence: rate of ended runs that diverged.
        mean: of the primary metric.
        sd: standard deviation of the primary metric over runs.
        train: mean of the metric on the training part.
        flops: floating-point operations of a training step.
        examples: number of them in the test part.
        parameters: mean over runs, as are the fields below; units as in `Run`.
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
class PlaceSummary:
    """A place where arms meet, and what its runs show.

    Args:
        title: its name; the fields from `task` to `chance` are those of its runs.
        arms: summaries of the arms that have runs at the place.
        contrasts: arms against their baselines.
    """

    title: str
    task: str
    family: str
    depth: JsonDepth
    settings: dict[str, Any]
    metric: str | None
    higher_is_better: bool | None
    chance: Number | None
    arms: list[ArmSummary]
    contrasts: list[Contrast]
