"""What holds across places: the growth of gaps with depth, and means over tasks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.record import Average, Place, Slope
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.verdict import CLAIM, estimate, slope_verdict

T = TypeVar("T")
K = TypeVar("K")


def grouped(entries: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Entries by what a key gives of them, in order of appearance."""
    found: dict[K, list[T]] = {}
    for entry in entries:
        found.setdefault(key(entry), []).append(entry)
    return list(found.items())


def families(places: Iterable[Place]) -> list[tuple[str, list[Place]]]:
    """The places of each family, from the shallowest to the deepest."""
    found = grouped(places, lambda place: place.family)
    for _, own in found:
        if all(isinstance(place.depth, (int, float)) for place in own):
            own.sort(key=lambda place: place.depth)
    return found


def growth(places: Sequence[Place], baselines: Mapping[str, str]) -> list[Slope]:
    """How the gap of each arm grows with log2 of depth, for every pair that ran at all depths."""
    found: list[Slope] = []
    groups = grouped(places, lambda place: place.family)
    for (family, group), arm in itertools.product(groups, baselines):
        met = [(place, c) for place in group for c in place.contrasts if c.arm == arm]
        depths, own = [place.depth for place, _ in met], [c for _, c in met]
        if len(set(depths)) < 2 or not all(c.pairs for c in own):
            continue
        if any(c.verdict.startswith("blocked") for c in own):
            continue
        pairs = sorted(set.intersection(*(set(c.seeds) for c in own)))
        gaps = [[c.differences[c.seeds.index(pair)] for c in own] for pair in pairs]
        if gaps:
            slopes = [float(s) for s in stats.slopes(gaps, depths)]
            found.append(
                Slope(
                    family=family,
                    arm=arm,
                    baseline=baselines[arm],
                    depths=depths,
                    slope=estimate(slopes),
                    p=stats.sign_flip_p(slopes),
                    each=slopes,
                )
            )
    for slope, p in zip(found, stats.holm([slope.p for slope in found]), strict=True):
        slope.holm_p, slope.verdict = p, slope_verdict(slope.each, p, len(found))
    return found


def overall(
    runs: Sequence[Run], baselines: Mapping[str, str], references: Mapping[str, float]
) -> list[Average]:
    """Interquartile means over tasks at their deepest places; chance is 0, the reference is 1."""
    deepest: dict[str, Any] = {}
    for run in runs:
        depth = run.depth if isinstance(run.depth, (int, float)) else 0
        deepest[run.task] = max(depth, deepest.get(run.task, -math.inf))
    found: list[Average] = []
    for arm, baseline in baselines.items():
        first, second, tasks = [], [], []
        for task in (task for task in deepest if task in references):
            own = [r for r in runs if r.task == task and (r.depth or 0) == deepest[task]]
            scores = [normalised(own, name, references[task]) for name in (baseline, arm)]
            shared = sorted(scores[0].keys() & scores[1].keys())
            if shared:
                tasks.append(task)
                first.append([scores[0][key] for key in shared])
                second.append([scores[1][key] for key in shared])
        if len(tasks) > 1:
            gap = stats.iqm_gap(first, second)
            if min(map(len, first)) < CLAIM:  # a bootstrap of few pairs is far too narrow
                gap = stats.Interval(gap.value, None, None)
            found.append(
                Average(
                    arm=arm,
                    baseline=baseline,
                    tasks=tasks,
                    iqm=stats.iqm(np.concatenate(second)),
                    baseline_iqm=stats.iqm(np.concatenate(first)),
                    without=left_out(tasks, first, second),
                    gap=gap,
                )
            )
    return found


def left_out(
    tasks: Sequence[str], first: Sequence[list[float]], second: Sequence[list[float]]
) -> dict[str, float]:
    """The gap of the interquartile means without each task in turn, where two are left."""
    found = {}
    for i, task in enumerate(tasks if len(tasks) > 2 else ()):
        means = (stats.iqm(np.concatenate([*x[:i], *x[i + 1 :]])) for x in (second, first))
        ours, theirs = means
        found[task] = ours - theirs
    return found


def normalised(runs: Sequence[Run], arm: str, reference: float) -> dict[tuple[str, int], float]:
    """The scores of one arm by place and pair: chance is 0, the reference is 1."""
    return {
        (run.place, run.pair): (run.value - run.chance) / (reference - run.chance)
        for run in runs
        if run.arm == arm and run.value is not None and run.chance is not None
    }
