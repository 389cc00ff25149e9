"""What holds across places: the growth of gaps with depth, and averages over tasks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.signs import Test, fixed_p, median_interval
from zoo.compare.analysis.summaries import Average, Contrast, PlaceSummary, Slope
from zoo.compare.analysis.verdict import CLAIM, corrected, slope_verdict

T = TypeVar("T")
K = TypeVar("K")


def grouped(items: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Each key with the items that have it, in order of appearance.

    >>> grouped([1, 2, 3], lambda n: n % 2)
    [(1, [1, 3]), (0, [2])]
    """
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def families(places: Iterable[PlaceSummary]) -> list[tuple[str, list[PlaceSummary]]]:
    """Each family's title with its places, from the shallowest to the deepest."""
    groups = grouped(places, lambda place: place.family)
    for _, members in groups:
        if all(isinstance(place.depth, (int, float)) for place in members):
            members.sort(key=lambda place: place.depth)
    return groups


def contrasts_of(places: Iterable[PlaceSummary]) -> list[tuple[PlaceSummary, Contrast]]:
    """Every place with each of its contrasts."""
    return [(place, contrast) for place in places for contrast in place.contrasts]


def growth_of_gaps(
    places: Sequence[PlaceSummary], baselines: Mapping[str, str], test: Test = fixed_p
) -> list[Slope]:
    """How the gap of each arm grows with log2 of depth, from the pairs that ran at all depths.

    Arms with fewer than two depths in a family, or with a blocked verdict there, are left out.

    Args:
        places: of the comparison.
        baselines: for each other arm the one that it is compared with.
        test: of the slopes.
    """
    slopes: list[Slope] = []
    evidence: list[Evidence] = []
    ends: list[tuple[float, float]] = []  # median gaps at the shallowest and the deepest place
    groups = families(places)
    for (family, members), arm in itertools.product(groups, baselines):
        entries = [(place, c) for place, c in contrasts_of(members) if c.arm == arm]
        depths, contrasts = [place.depth for place, _ in entries], [c for _, c in entries]
        if len(set(depths)) < 2 or not all(c.pairs for c in contrasts):
            continue
        if any(c.verdict.startswith("blocked") for c in contrasts):
            continue
        pairs = sorted(set.intersection(*(set(c.seeds) for c in contrasts)))
        gaps = [[c.differences[c.seeds.index(pair)] for c in contrasts] for pair in pairs]
        if gaps:
            each = [float(slope) for slope in stats.slopes(gaps, depths)]
            doublings = math.log2(max(depths) / min(depths))
            delta = contrasts[-1].delta / doublings
            waiting = max(c.waiting for c in contrasts)
            e = Evidence(
                arm, baselines[arm], each, len(each), delta=delta, test=test, waiting=waiting
            )
            evidence.append(e)
            ends.append((np.median(gaps, axis=0)[0], np.median(gaps, axis=0)[-1]))
            slopes.append(
                Slope(
                    family=family,
                    arm=arm,
                    baseline=baselines[arm],
                    depths=depths,
                    slope=median_interval(each, test),
                    delta=delta,
                    p=e.ahead_p,
                    each=each,
                )
            )
    for slope, e, p, gap in zip(slopes, evidence, corrected(evidence), ends, strict=True):
        slope.holm_p, slope.verdict = p.beyond, slope_verdict(e, p, *gap)
    return slopes


def task_averages(
    runs: Sequence[Run], baselines: Mapping[str, str], references: Mapping[str, float]
) -> list[Average]:
    """Each arm against its baseline by interquartile means over tasks, at their deepest places.

    Args:
        runs: of the comparison.
        baselines: for each other arm the one that it is compared with.
        references: for each task the score that counts as 1, chance being 0.
    """
    deepest: dict[str, Any] = {}
    for run in runs:
        depth = run.depth if isinstance(run.depth, (int, float)) else 0
        deepest[run.task] = max(depth, deepest.get(run.task, -math.inf))
    averages: list[Average] = []
    for arm, baseline in baselines.items():
        first, second, tasks = [], [], []
        for task in (task for task in deepest if task in references):
            at_depth = [r for r in runs if r.task == task and (r.depth or 0) == deepest[task]]
            scores = [normalised(at_depth, name, references[task]) for name in (baseline, arm)]
            shared = sorted(scores[0].keys() & scores[1].keys())
            if shared:
                tasks.append(task)
                first.append([scores[0][key] for key in shared])
                second.append([scores[1][key] for key in shared])
        if len(tasks) > 1:
            gap = stats.iqm_gap(first, second)
            if min(map(len, first)) < CLAIM:  # a bootstrap of few pairs is far too narrow
                gap = stats.Interval(gap.value, None, None)
            averages.append(
                Average(
                    arm=arm,
                    baseline=baseline,
                    tasks=tasks,
                    iqm=stats.iqm(np.concatenate(second)),
                    baseline_iqm=stats.iqm(np.concatenate(first)),
                    without=gaps_without_each(tasks, first, second),
                    gap=gap,
                )
            )
    return averages


def gaps_without_each(
    tasks: Sequence[str], first: Sequence[list[float]], second: Sequence[list[float]]
) -> dict[str, float]:
    """For each task the gap of the interquartile means without it; empty for two tasks.

    Args:
        tasks: names of the tasks.
        first: normalised scores of the baseline, for each task.
        second: normalised scores of the arm, for each task.
    """
    gaps = {}
    for i, task in enumerate(tasks if len(tasks) > 2 else ()):
        ours, theirs = (
            stats.iqm(np.concatenate([*scores[:i], *scores[i + 1 :]])) for scores in (second, first)
        )
        gaps[task] = ours - theirs
    return gaps


def normalised(runs: Sequence[Run], arm: str, reference: float) -> dict[tuple[str, int], float]:
    """The scores of one arm by place and pair, with chance at 0 and the reference at 1."""
    return {
        (run.place, run.pair): (run.value - run.chance) / (reference - run.chance)
        for run in runs
        if run.arm == arm and run.value is not None and run.chance is not None
    }
