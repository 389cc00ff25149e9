"""An arm against its baseline over tasks, by scores that have chance at 0 and a reference at 1.

What is averaged are the gaps of pairs: a difference of two averages of arms tells nothing of them
where tasks point in opposite directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.compare.analysis.aggregate import families
from zoo.compare.analysis.averages import improvement, mean_gap, middle_gap
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.statistics import Array, Interval
from zoo.compare.analysis.summaries import Contrast, PlaceSummary


@dataclass(kw_only=True)
class Average:
    """An arm against its baseline over tasks; gaps are of scores with chance at 0, reference at 1.

    Args:
        arm: name of the arm.
        baseline: name of the arm that it is compared with.
        tasks: titles of the families of places, each at its deepest.
        gap: mean over tasks of their mean gaps.
        iqm: interquartile mean of the gaps of all pairs.
        improvement: probability that a run of the arm scores above one of the baseline.
        without: for each task the mean gap when it is left out, where two others are left.
        better: tasks whose median gap lies above the smallest effect.
        alike: tasks whose median gap lies within it.
        worse: tasks whose median gap lies below its negative.
        shown: those of the better and worse tasks whose verdict says that it does.
        failures_matter: whether the averages hold only if no more runs fail than were seen.
    """

    arm: str
    baseline: str
    tasks: list[str]
    gap: Interval
    iqm: Interval
    improvement: Interval
    without: dict[str, float]
    better: list[str]
    alike: list[str]
    worse: list[str]
    shown: list[str]
    failures_matter: bool = False


@dataclass(frozen=True)
class Task:
    """The pairs of an arm and its baseline at the deepest place of a family.

    Args:
        name: title of the family.
        ours: scores of the arm, by pair.
        theirs: scores of the baseline, by pair.
        contrast: of both.
    """

    name: str
    ours: Array
    theirs: Array
    contrast: Contrast


def task_averages(
    places: Sequence[PlaceSummary],
    runs: Sequence[Run],
    baselines: Mapping[str, str],
    references: Mapping[str, float],
) -> list[Average]:
    """Each arm against its baseline over the deepest places of all families, where two have gaps.

    Args:
        places: of the comparison.
        runs: of the comparison.
        baselines: for each other arm the one that it is compared with.
        references: for each task the score that counts as 1, chance being 0.
    """
    scores = scores_by_task(places, runs, references)
    averages = []
    for arm, baseline in baselines.items():
        tasks = list(pairs_of(arm, baseline, places, scores))
        if len(tasks) > 1:
            averages.append(average(arm, baseline, tasks))
    return averages


def scores_by_task(
    places: Iterable[PlaceSummary], runs: Sequence[Run], references: Mapping[str, float]
) -> dict[str, dict[str, dict[int, float]]]:
    """The scores at the deepest place of each family, by arm and pair; chance is 0, reference 1.

    Places without a chance or a reference are left out.

    Args:
        places: of the comparison.
        runs: of the comparison.
        references: for each task the score that counts as 1.
    """
    by_task: dict[str, dict[str, dict[int, float]]] = {}
    for family, members in families(places):
        title = members[-1].title
        scored = [run for run in runs if run.place == title and run.value is not None]
        if all(way(run, references) for run in scored):
            for run in scored:
                of_arm = by_task.setdefault(family, {}).setdefault(run.arm, {})
                of_arm[run.pair] = normalised(run, references)
    return by_task


def normalised(run: Run, references: Mapping[str, float]) -> float:
    """The score of a run with the chance of its own data at 0 and the reference of its task at 1.

    Args:
        run: with a value, and with a way from chance to the reference.
        references: for each task the score that counts as 1.
    """
    assert run.above_chance is not None
    return run.above_chance / way(run, references)


def way(run: Run, references: Mapping[str, float]) -> float:
    """The way from chance to the reference, negative where lower is better; 0 where unknown."""
    reference = references.get(run.task)
    return 0.0 if reference is None or run.chance is None else reference - run.chance


def pairs_of(
    arm: str,
    baseline: str,
    places: Iterable[PlaceSummary],
    scores: Mapping[str, Mapping[str, Mapping[int, float]]],
) -> Iterator[Task]:
    """The tasks of which both runs of some pair ended, but for those with a blocked verdict.

    Args:
        arm: its name.
        baseline: the other one's.
        places: of the comparison.
        scores: by task, arm and pair.
    """
    for family, members in families(places):
        contrast = next((c for c in members[-1].contrasts if c.arm == arm), None)
        if family not in scores or contrast is None or not contrast.pairs:
            continue
        if not contrast.verdict.startswith("blocked"):
            ours, theirs = (
                np.asarray([scores[family][name][pair] for pair in contrast.seeds])
                for name in (arm, baseline)
            )
            yield Task(family, ours, theirs, contrast)


def average(arm: str, baseline: str, tasks: Sequence[Task]) -> Average:
    """The average over two tasks or more; there are intervals from 8 pairs of each task on.

    Args:
        arm: its name.
        baseline: the other one's.
        tasks: with the scores of both.
    """
    gaps = [task.ours - task.theirs for task in tasks]
    means = {task.name: float(gap.mean()) for task, gap in zip(tasks, gaps, strict=True)}
    return Average(
        arm=arm,
        baseline=baseline,
        tasks=list(means),
        gap=mean_gap(gaps),
        iqm=middle_gap(gaps),
        improvement=improvement([(task.ours, task.theirs) for task in tasks]),
        without=without_each(means),
        shown=[task.name for task in tasks if task.contrast.differs_beyond],
        failures_matter=any(task.contrast.failures_matter for task in tasks),
        **directions(tasks),
    )


def directions(tasks: Iterable[Task]) -> dict[str, list[str]]:
    """The names of the tasks by where the median lies: beyond the smallest effect or within."""
    names: dict[str, list[str]] = {"better": [], "alike": [], "worse": []}
    for task in tasks:
        gap, delta = task.contrast.gap, task.contrast.delta
        median = gap.value if gap else 0.0
        side = "better" if median > delta else "worse" if median < -delta else "alike"
        names[side].append(task.name)
    return names


def without_each(means: Mapping[str, float]) -> dict[str, float]:
    """For each task the mean over the others; empty where there are two.

    >>> without_each({"cnn": 1.0, "gnn": 2.0, "unet": 6.0})
    {'cnn': 4.0, 'gnn': 3.5, 'unet': 1.5}
    """
    if len(means) < 3:
        return {}
    return {name: (sum(means.values()) - mean) / (len(means) - 1) for name, mean in means.items()}
