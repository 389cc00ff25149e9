"""Charts of scores and costs against depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.summaries import PlaceSummary
from zoo.compare.report.chart import Axis, Chart, Series, isolated, label, metric_of, score_of
from zoo.compare.report.formats import number, scaled
from zoo.compare.report.published_lines import PublishedLine, published_lines
from zoo.errors import cut

TICKS = 15  # whose names have room
NAME_WIDTH = 2.8  # room for the names of published lines, in doublings of the depth


@dataclass(frozen=True)
class Measure:
    """A value of runs that a chart shows.

    Args:
        title: name of the value.
        of: takes it from a run; None where the run has none.
        from_zero: whether its axis begins at zero.
        score: whether it is the primary metric, for which chance is shown.
    """

    title: str
    of: Callable[[Run], float | None]
    from_zero: bool = False
    score: bool = False


def positions(places: Sequence[PlaceSummary]) -> list[float]:
    """The x of each place: log2 of its depth or, where a depth is no positive number, its index."""
    depths = [place.depth for place in places]
    numeric = all(isinstance(d, (int, float)) and d > 0 for d in depths)
    return [math.log2(d) for d in depths] if numeric else [float(i) for i in range(len(places))]


def ticks(places: Sequence[PlaceSummary]) -> list[str]:
    """The name of each place on the axis; empty for one too near to the next deeper name."""
    x = positions(places)
    room, last = (max(x) - min(x) + 0.8) / TICKS, math.inf
    texts = []
    for place, at in reversed(list(zip(places, x, strict=True))):
        text = place.depth if isinstance(place.depth, (int, float)) else label(place)
        near = last - at < room
        texts.append("" if near else cut(text, 16))
        last = last if near else at
    return texts[::-1]


def dodge(arm: int, arms: int, x: Sequence[float]) -> float:
    """The shift of an arm that keeps the arms at one place apart.

    Args:
        arm: number of the arm.
        arms: number of all arms.
        x: of the places.
    """
    steps = [b - a for a, b in zip(sorted(x), sorted(x)[1:], strict=False)]
    shown = max(x) - min(x) + 0.8  # of the axis
    room = min([*steps, 1.0])
    return (arm - (arms - 1) / 2) * min(0.12 * room, 0.6 * room / arms, 0.035 * shown)


def against_depth(
    places: Sequence[PlaceSummary],
    runs: Sequence[Run],
    arms: Sequence[str],
    measure: Measure,
    published: Sequence[PublishedLine] = (),
) -> Chart:
    """Every run as a dot and the mean of every arm as a line, against depth.

    Args:
        places: of one family.
        runs: of the comparison.
        arms: names of all arms, whose order gives their colours.
        measure: that is shown.
        published: lines of papers beside the runs.
    """
    x = positions(places)
    series: list[Series] = []
    rows: list[list[Any]] = []
    words = []
    for i, arm in enumerate(arms):
        shifted = [at + dodge(i, len(arms), x) for at in x]
        by_place = [[(run, value) for run in runs if (run.place, run.arm) == (place.title, arm)
                     and (value := measure.of(run)) is not None] for place in places]  # fmt: skip
        means = [sum(v for _, v in known) / len(known) if known else None for known in by_place]
        for place, mean, known in zip(places, means, by_place, strict=True):
            every = ", ".join(number(value) for _, value in known)
            rows.append([label(place), arm, number(mean), every])
        if not any(by_place):
            continue
        texts = [f"{isolated(arm)}, mean: {number(mean)}" for mean in means]
        dots = [(at, v, r) for at, known in zip(shifted, by_place, strict=True) for r, v in known]
        series += [
            Series(
                "runs",
                [at for at, _, _ in dots],
                [value for _, value, _ in dots],
                [run_text(run, value, measure) for _, value, run in dots],
                i,
                arm,
                [run.status == "diverged" for _, _, run in dots],
            ),
            Series("mean", shifted, means, texts, i, arm),
        ]
        ends = [f"{number(m)} at {label(p)}" for p, m in zip(places, means, strict=True)]
        words.append(f"{arm}: {', '.join(ends)}")
    sentence = f"Mean {measure.title}. {'; '.join(words) or 'no run has a value'}."
    for line in published:
        series.append(published_series(line))
        rows += [
            [depth, f"{line.name}, published", number(value), ""]
            for depth, value in zip(line.depths, line.values, strict=True)
        ]
        ends = [f"{number(v)} at {d}" for d, v in zip(line.depths, line.values, strict=True)]
        sentence += f" {line.name}, published: {', '.join(ends)}."
    numeric = all(isinstance(place.depth, (int, float)) for place in places)
    title = "depth (logarithmic)" if numeric and len(x) > 1 else ""
    last = max(x) + 0.4 + (NAME_WIDTH if published else 0)
    return Chart(
        title=measure.title,
        words=sentence,
        head=("place", "arm", "mean", "every run"),
        rows=rows,
        series=series,
        x=Axis(title, x, ticks(places), (min(x) - 0.4, last)),
        y=Axis(measure.title, range=None if series else (-1, 1), from_zero=measure.from_zero),
        level=places[0].chance if measure.score else None,
        notes=[] if series else [(x[0], 0.0, "no run has a value")],
        height=320 if series else 120,
    )


def run_text(run: Run, value: float, measure: Measure) -> str:
    """The text at the dot of a run: arm, pair, value and whether it diverged."""
    diverged = ", diverged" + (": counts as chance" if measure.score else "")
    ending = diverged if run.status == "diverged" else ""
    return f"{isolated(run.arm)}, pair {run.pair}: {number(value)}{ending}"


def published_series(line: PublishedLine) -> Series:
    """The points of a published line."""
    texts = [f"{isolated(line.name)}, published: {number(value)}" for value in line.values]
    return Series("published", line.positions, line.values, texts, name=line.name)


def scores_of(record: Record, places: Sequence[PlaceSummary]) -> tuple[Chart, Chart]:
    """The charts of the test score, with published ones, and of the training score of a family."""
    arms, metric = list(record.declared.arms), metric_of(places)
    test = Measure(score_of(places), lambda run: run.value, score=True)
    train = Measure(f"training {metric}", lambda run: run.train)
    published = list(published_lines(record, places))
    return (
        against_depth(places, record.cells, arms, test, published),
        against_depth(places, record.cells, arms, train),
    )


def costs_of(record: Record, places: Sequence[PlaceSummary]) -> list[Chart]:
    """The charts of time and memory of a family."""
    time = Measure("ms a step", lambda run: scaled(run.seconds_per_step, 1e3), True)
    memory = Measure("peak memory, MiB", lambda run: scaled(run.peak_memory_bytes, 2**-20), True)
    arms = list(record.declared.arms)
    return [against_depth(places, record.cells, arms, measure) for measure in (time, memory)]
