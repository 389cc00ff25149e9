"""Charts over tasks: performance profiles and the probability of improvement.

Both as Agarwal et al. 2021, arXiv:2108.13264, define them.
"""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.over_tasks import scores_by_task
from zoo.compare.analysis.record import Record
from zoo.compare.report.chart import Axis, Chart, Series, isolated
from zoo.compare.report.formats import interval, number
from zoo.errors import cut

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def task_charts(record: Record) -> list[Chart]:
    """The charts of a comparison that has averages over tasks; none otherwise."""
    return [profiles(record), improvements(record)] if record.overall else []


def profiles(record: Record) -> Chart:
    """For each arm the share of its runs that score above a threshold, tasks weighing the same.

    Only tasks in which every arm has a score are in it.
    """
    arms = list(record.declared.arms)
    by_task = scores_by_task(record.places, record.cells, record.declared.references)
    shared = {task: scores for task, scores in by_task.items() if scores.keys() >= {*arms}}
    series, rows, most = [], [], 1.0
    for i, arm in enumerate(arms if shared else ()):
        x, y = profile([list(scores[arm].values()) for scores in shared.values()])
        series.append(Series("curve", x, y, (), i, arm))
        most = max(most, x[-1])
        rows.append([arm, *(number(share_above(at, x, y)) for at in QUARTERS)])
    shares = [f"{row[0]}: {', '.join(row[1:])}." for row in rows]
    return Chart(
        title="Performance profiles",
        words=f"Share of runs at the deepest places of {len(shared)} tasks that score above "
        f"{', '.join(map(str, QUARTERS))} of the way from chance to the reference. "
        + " ".join(shares),
        head=("arm", *(f"above {at:g}" for at in QUARTERS)),
        rows=rows,
        series=series,
        x=Axis("score; 0: chance, 1: reference", range=(-0.03, most + 0.03)),
        y=Axis("share of runs above", range=(-0.03, 1.03)),
        notes=[] if series else [(0.0, 0.5, "no task has all arms")],
        height=280,
    )


def profile(scores: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """The corners of the steps of a performance profile.

    >>> profile([[1.0, 2.0], [2.0]])
    ([1.0, 1.0, 2.0, 2.0], [1.0, 0.75, 0.75, 0.0])

    Args:
        scores: of the runs of each task.
    """
    x: list[float] = []
    y: list[float] = []
    share = 1.0
    for at in sorted({score for task in scores for score in task}):
        x += [at, at]
        above = [sum(score > at for score in task) / len(task) for task in scores]
        y += [share, share := sum(above) / len(above)]
    return x, y


def share_above(at: float, x: Sequence[float], y: Sequence[float]) -> float:
    """The share of runs above a threshold, from the corners of a profile."""
    return next(
        (share for corner, share in zip(x[::-1], y[::-1], strict=True) if corner <= at), 1.0
    )


def improvements(record: Record) -> Chart:
    """How probable it is that a run of an arm scores above one of its baseline."""
    arms = list(record.declared.arms)
    rows = [[a.arm, a.baseline, interval(a.improvement)] for a in record.overall]
    series = [
        Series(
            "gap",
            [a.improvement.value],
            [float(y)],
            [f"{isolated(a.arm)} above {isolated(a.baseline)}: {interval(a.improvement)}"],
            arms.index(a.arm),
            a.arm,
            (),
            a.improvement.low,
            a.improvement.high,
        )
        for y, a in enumerate(record.overall)
    ]
    words = [f"{arm} above {baseline}: {rate}." for arm, baseline, rate in rows]
    return Chart(
        title="Probability of improvement",
        words=" ".join(["Probability that a run of an arm scores above its baseline's.", *words]),
        head=("arm", "baseline", "probability (95 % interval)"),
        rows=rows,
        series=series,
        x=Axis("a run scores above one of the baseline", QUARTERS, [f"{q:g}" for q in QUARTERS],
               (-0.03, 1.03)),
        y=Axis("", range(len(rows)), [cut(a.arm, 20) for a in record.overall],
               (len(rows) - 0.4, -0.6)),
        band=0.0,
        centre=0.5,
        height=280,
    )  # fmt: skip
