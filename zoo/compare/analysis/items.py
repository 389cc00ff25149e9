"""How much of a gap's uncertainty comes from the pairs, and how much from the test examples.

The primary metric is a mean over test examples. With the outcomes of every example the gap is
known for other examples as well, and not for these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.statistics import LEVEL, Array, Interval
from zoo.compare.analysis.summaries import Sources
from zoo.run_folder import OUTCOMES

FEWEST = 5  # pairs, and examples, of an interval


def outcomes_of(id: str, folders: Sequence[Path]) -> Array | None:
    """What each test example of a run contributed to its primary metric, `[examples]`, or None."""
    for folder in folders:
        file = folder / "cells" / id / OUTCOMES
        if file.is_file():
            with np.load(file, allow_pickle=False) as content:
                return np.asarray(content["test"], float)
    return None


def crossed(differences: Array) -> Sources:
    """The mean gap over pairs that were all tested on the same examples.

    The variances over pairs and over examples are added, with the degrees of freedom of
    Satterthwaite 1946; what is left between the two counts in both, so that the interval is never
    too short.

    Args:
        differences: `[pairs, examples]`, at least two of each.
    """
    n, m = differences.shape
    mean = float(differences.mean())
    pairs, examples = differences.mean(1) - mean, differences.mean(0) - mean
    a, b = float(pairs @ pairs) / (n - 1) / n, float(examples @ examples) / (m - 1) / m
    freedom = (a + b) ** 2 / max(a**2 / (n - 1) + b**2 / (m - 1), 1e-300)
    return sources(mean, a + b, max(freedom, 1.0), b / max(a + b, 1e-300))


def nested(differences: Sequence[Array]) -> Sources:
    """The mean gap over pairs that were each tested on examples of their own.

    The spread of the pairs' gaps holds that of their examples, which is taken out of it to tell
    the shares.

    Args:
        differences: for each pair `[examples]`.
    """
    n, gaps = len(differences), np.asarray([d.mean() for d in differences])
    spread = float(gaps.var(ddof=1))
    within = float(np.mean([d.var(ddof=1) / len(d) for d in differences]))
    share = min(1.0, within / spread) if spread else 0.0
    return sources(float(gaps.mean()), spread / n, n - 1, share)


def sources(mean: float, variance: float, freedom: float, examples: float) -> Sources:
    """The interval of a mean, with the shares of what makes its variance."""
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * variance**0.5
    return Sources(Interval(mean, mean - half, mean + half), 1 - examples, examples)


def sources_of(pairing: Pairing, folders: Sequence[Path]) -> Sources | None:
    """The sources of a gap's uncertainty; None where too few pairs have all their outcomes.

    Args:
        pairing: of an arm and its baseline at one place.
        folders: of comparisons, which hold the runs.
    """
    differences = []
    for ours, theirs in pairing.ended():
        a, b = (outcomes_of(run.id, folders) for run in (ours, theirs))
        if a is None or b is None or len(a) != len(b):
            return None
        differences.append((a - b) * (1 if ours.higher_is_better else -1))
    if len(differences) < FEWEST or min(map(len, differences)) < FEWEST:
        return None
    one_test = len({run.data_digest for both in pairing.ended() for run in both}) == 1
    return crossed(np.stack(differences)) if one_test else nested(differences)
