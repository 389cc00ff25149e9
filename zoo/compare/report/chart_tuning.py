"""Charts of tuning: the score on validation against the values that were tried."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from zoo.compare.analysis.aggregate import grouped
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.tuned import Search, Trial
from zoo.compare.design.axes import short
from zoo.compare.report.chart import Axis, Chart, Series, isolated
from zoo.compare.report.chart_scores import dodge
from zoo.compare.report.formats import measure_label, number


def sensitivity_charts(record: Record) -> list[Chart]:
    """A chart for every option that was tuned at every place."""
    searches = record.tuning.searches if record.tuning else []
    arms = list(record.declared.arms)
    groups = grouped(searches, lambda search: (search.place, search.option))
    return [sensitivity(together, arms) for _, together in groups]


def sensitivity(searches: Sequence[Search], arms: Sequence[str]) -> Chart:
    """Every tuning run as a dot, the mean of every value on a line, and a ring at the best value.

    A cross below, or above where lower is better, is a run without an end.

    Args:
        searches: for one option at one place.
        arms: names of all arms, whose order gives their colours.
    """
    values = sorted({trial["value"] for search in searches for trial in search.trials})
    known = [s for search in searches for t in search.trials for s in t["scores"] if s is not None]
    first = searches[0]
    worst = (min if first.higher_is_better else max)(known, default=0.0)
    at = [math.log2(value) for value in values]
    series: list[Series] = []
    rows: list[list[Any]] = []
    for search in searches:
        arm = arms.index(search.arm)
        series += search_series(search, arm, dodge(arm, len(arms), at), worst)
        rows += [
            [search.arm, f"{trial['value']:g}", number(mean_score(trial)), every(trial),
             "chosen" if trial["value"] == search.chosen else ""]
            for trial in search.trials
        ]  # fmt: skip
    metric = measure_label(first.metric)
    best = [f"{s.arm} has its best {metric} at {s.chosen:g}" for s in searches]
    return Chart(
        title=f"{first.place}: {short(first.option)}",
        words=f"{metric} by {first.option} at {first.place}. {'; '.join(best)}.",
        head=("arm", first.option, "mean", "every seed", ""),
        rows=rows,
        series=series,
        x=Axis(f"{first.option} (logarithmic)", at, [f"{value:g}" for value in values]),
        y=Axis(metric),
        notes=[] if known else [(at[0], 0.0, "no run came to its end")],
        height=280,
    )


def search_series(search: Search, arm: int, shift: float, worst: float) -> list[Series]:
    """The dots, the line, the ring and the crosses of one arm.

    Args:
        search: of the arm.
        arm: its number.
        shift: that keeps the arms apart.
        worst: score at which runs without an end are marked.
    """
    name = isolated(search.arm)
    x = [math.log2(trial["value"]) + shift for trial in search.trials]
    means = [mean_score(trial) for trial in search.trials]
    points = [
        (at, score, f"{name}, {trial['value']:g}: {number(score) or 'no end'}")
        for at, trial in zip(x, search.trials, strict=True)
        for score in trial["scores"]
    ]
    dots = [(at, score, text) for at, score, text in points if score is not None]
    lost = [(at, worst, text) for at, score, text in points if score is None]
    texts = [f"{name}, mean: {number(mean)}" for mean in means]
    chosen = [
        (at, mean, f"{name}: best at {search.chosen:g}")
        for at, mean, trial in zip(x, means, search.trials, strict=True)
        if trial["value"] == search.chosen and mean is not None
    ]
    marks = [
        Series(kind, [at for at, _, _ in some], [y for _, y, _ in some],
               [text for _, _, text in some], arm, search.arm, [False] * len(some))
        for kind, some in (("runs", dots), ("end", lost), ("chosen", chosen))
        if some
    ]  # fmt: skip
    return [*marks, Series("mean", x, means, texts, arm, search.arm)]


def mean_score(trial: Trial) -> float | None:
    """The mean of the scores at a value; None where a run has none."""
    known = [score for score in trial["scores"] if score is not None]
    return statistics.fmean(known) if len(known) == len(trial["scores"]) else None


def every(trial: Trial) -> str:
    """The score of every seed, in a row."""
    return ", ".join(number(score) or "no end" for score in trial["scores"])
