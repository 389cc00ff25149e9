"""Where the variance of a run's score comes from, by runs of an arm and itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.compare.analysis.items import outcomes_of
from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.statistics import Array


@dataclass(frozen=True)
class Shares:
    """The shares of the variance of a run's score; they add up to 1.

    Args:
        seed: what other seeds change on the same data.
        data: what other data change, test examples aside.
        examples: what other test examples of the same kind change; None where the outcomes are not
            known, which leaves it in `data`.
    """

    seed: float
    data: float
    examples: float | None


def shares_of(pairing: Pairing, folders: Sequence[Path]) -> Shares | None:
    """The shares at a place where each pair runs an arm twice, on data of its own.

    None where pairs share their data, where there are fewer than two, or where nothing varies.

    Args:
        pairing: of the arm and itself under other seeds.
        folders: of comparisons, which hold the runs.
    """
    ended = pairing.ended()
    if len({ours.data_digest for ours, _ in ended}) < max(len(ended), 2):
        return None
    scores = [[run.value or 0.0 for run in both] for both in ended]
    outcomes = [[outcomes_of(run.id, folders) for run in both] for both in ended]
    examples = [variance_of_examples(a, b) for a, b in outcomes if a is not None and b is not None]
    known = len(examples) == len(ended)
    return shares(scores, float(np.mean(examples)) if known else None)


def variance_of_examples(one: Array, other: Array) -> float:
    """What the choice of test examples adds to the variance of a score: of those that are hard.

    It is the covariance of two runs on the same examples, by their number.
    """
    return float(np.cov(one, other)[0, 1]) / len(one)


def shares(scores: Sequence[Sequence[float]], examples: float | None) -> Shares | None:
    """The shares of a one-way layout of random effects; estimates below 0 are 0.

    The mean squares between and within pairs give both variances (Searle, Casella and McCulloch
    1992, Variance Components, section 3.6); that of the examples is a part of what is between.

    Args:
        scores: of the two runs of each pair, which share their data.
        examples: variance that the test examples add; None where it is unknown.
    """
    both = np.asarray(scores, float)
    within = float(both.var(axis=1, ddof=1).mean())
    between = max(0.0, float(both.mean(axis=1).var(ddof=1)) - within / both.shape[1])
    total = within + between
    if not total:
        return None
    part = None if examples is None else min(max(examples, 0.0), between)
    data = between - (part or 0.0)
    return Shares(within / total, data / total, None if part is None else part / total)
