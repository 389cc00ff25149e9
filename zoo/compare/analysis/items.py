"""How much of a gap's uncertainty comes from the pairs, and how much from the test examples.

The primary metric is a mean over test examples. With the outcomes of every example the gap is
known for other examples as well, and not for these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.signs import ALPHA
from zoo.compare.analysis.statistics import Array, t_interval
from zoo.compare.analysis.summaries import Contrast, Sources
from zoo.run_folder import OUTCOMES

FEWEST = 5  # pairs, and examples, of an interval
ELSEWHERE = "may not hold on other test examples"


def outcomes_of(id: str, folders: Sequence[Path], column: str = "test") -> Array | None:
    """What is kept of each test example of a run, `[examples]`; None where it is not.

    Args:
        id: address of the run.
        folders: of comparisons, which hold the runs.
        column: `test`: what it contributed to the primary metric; `items`: its number in the pool
            from which pairs draw their test parts.
    """
    for folder in folders:
        file = folder / "cells" / id / OUTCOMES
        if file.is_file():
            with np.load(file, allow_pickle=False) as content:
                return np.asarray(content[column], float) if column in content else None
    return None


def clustered(differences: Sequence[Array], items: Sequence[NDArray[np.int_]]) -> Sources:
    """The mean gap with an interval for other pairs and for other test examples.

    The variance is clustered both ways (Cameron, Gelbach and Miller 2011, Journal of Business and
    Economic Statistics 29:238-249): by pair, plus by example, less that of single outcomes, which
    is in both; and no smaller than either. Its degrees of freedom are Satterthwaite's (1946). Pairs
    may all be tested on the same examples, each on its own, or on overlapping ones.

    Args:
        differences: of the outcomes of each pair, `[examples]`.
        items: which example each of them is of, as numbers that all pairs share.
    """
    n, gaps = len(differences), [float(d.mean()) for d in differences]
    mean = float(np.mean(gaps))
    single = np.concatenate([(d - mean) / len(d) / n for d in differences])
    by_pair = np.asarray([(gap - mean) / n for gap in gaps])
    by_item = np.bincount(np.unique(np.concatenate(items), return_inverse=True)[1], single)
    pairs, examples, both = (
        float(sums @ sums) * len(sums) / (len(sums) - 1) for sums in (by_pair, by_item, single)
    )
    variance = max(pairs, examples, pairs + examples - both)
    squares = pairs**2 / (n - 1) + examples**2 / (len(by_item) - 1)
    freedom = variance**2 / squares if squares else n - 1.0
    share = min(1.0, examples / variance) if variance else 0.0
    return Sources(t_interval(mean, variance, max(freedom, 1.0)), 1 - share, share)


def sources_of(pairing: Pairing, folders: Sequence[Path]) -> Sources | None:
    """The sources of a gap's uncertainty; None where too few pairs have all their outcomes.

    Args:
        pairing: of an arm and its baseline at one place.
        folders: of comparisons, which hold the runs.
    """
    differences, names = [], []
    for both in pairing.ended():
        outcomes = [outcomes_of(run.id, folders) for run in both]
        kept = [(run, x) for run, x in zip(both, outcomes, strict=True) if x is not None]
        tested = [names_of(run, folders, len(x)) for run, x in kept]
        if not tested or any(other != tested[0] for other in tested):
            return None
        a, b = (added(run, x, len(tested[0])) for run, x in zip(both, outcomes, strict=True))
        if a is None or b is None:
            return None
        differences.append((a - b) * (1 if both[0].higher_is_better else -1))
        names.append(tested[0])
    if len(differences) < FEWEST or min(map(len, differences)) < FEWEST:
        return None
    numbers = {name: i for i, name in enumerate(dict.fromkeys(n for of in names for n in of))}
    return clustered(differences, [np.asarray([numbers[name] for name in of]) for of in names])


def added(run: Run, outcomes: Array | None, examples: int) -> Array | None:
    """What each test example of a run adds to its score, `[examples]`; None where it is unknown.

    A run that failed to train scores chance, whatever its examples.
    """
    return np.full(examples, run.value, float) if run.untrained else outcomes


def names_of(run: Run, folders: Sequence[Path], examples: int) -> list[tuple[str | None, int]]:
    """What tells the test examples of a run from those of other runs.

    Runs that do not say which examples of a pool theirs are have the same ones, in the same order,
    where they read the same data, and others where they read other data.

    Args:
        run: of a comparison.
        folders: of comparisons, which hold the runs.
        examples: number of them in its test part.
    """
    items = outcomes_of(run.id, folders, "items")
    if items is None:
        return [(run.data_digest, number) for number in range(examples)]
    return [("", int(item)) for item in items]


def warnings_of(contrast: Contrast) -> list[str]:
    """A warning where an arm is ahead by its verdict, but not for other pairs and test examples."""
    if not contrast.sources or not contrast.differs or not contrast.gap:
        return []
    gap = contrast.sources.gap
    least = contrast.delta if contrast.holm_p <= ALPHA else 0.0
    ends = (gap.low or 0.0, gap.high or 0.0)
    return [] if ends[0] > least or ends[1] < -least else [ELSEWHERE]
