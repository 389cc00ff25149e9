"""Charts of scores and costs against depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.compare.analysis.record import Place, Record
from zoo.compare.analysis.runs import Run
from zoo.compare.report.chart import Axis, Chart, Series, isolated, label, metric_of
from zoo.compare.report.published import Line, lines
from zoo.compare.report.words import number
from zoo.errors import cut

TICKS = 15  # that have room
ROOM = 2.8  # for the names behind published lines, in doublings of the depth


@dataclass(frozen=True)
class Measure:
    """What a run has.

    Args:
        title: how it is called.
        of: gives it of a run.
        from_zero: whether its axis begins there.
        score: whether it is the primary one, with chance and published rows.
    """

    title: str
    of: Callable[[Run], float | None]
    from_zero: bool = False
    score: bool = False


def positions(places: Sequence[Place]) -> list[float]:
    """Where places stand: at log2 of their depth, or one after the other where that is none."""
    depths = [place.depth for place in places]
    numeric = all(isinstance(d, (int, float)) and d > 0 for d in depths)
    return [math.log2(d) for d in depths] if numeric else [float(i) for i in range(len(places))]


def ticks(places: Sequence[Place]) -> list[str]:
    """The names of the positions; of those too near to each other the deeper one has a name."""
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
    """A small shift that keeps arms at one place apart."""
    steps = [b - a for a, b in zip(sorted(x), sorted(x)[1:], strict=False)]
    shown = max(x) - min(x) + 0.8  # of the axis
    room = min([*steps, 1.0])
    return (arm - (arms - 1) / 2) * min(0.12 * room, 0.6 * room / arms, 0.035 * shown)


def against_depth(
    places: Sequence[Place],
    runs: Sequence[Run],
    arms: Sequence[str],
    measure: Measure,
    published: Sequence[Line] = (),
) -> Chart:
    """Every run as a dot and the mean of every arm as a line, against depth."""
    x = positions(places)
    series: list[Series] = []
    rows: list[list[Any]] = []
    words = []
    for i, arm in enumerate(arms):
        at = [place + dodge(i, len(arms), x) for place in x]
        own = [[r for r in runs if (r.place, r.arm) == (p.title, arm)] for p in places]
        met = [[(r, v) for r in here if (v := measure.of(r)) is not None] for here in own]
        means = [sum(v for _, v in here) / len(here) if here else None for here in met]
        for place, mean, here in zip(places, means, met, strict=True):
            every = ", ".join(number(value) for _, value in here)
            rows.append([label(place), arm, number(mean), every])
        if not any(met):
            continue
        texts = [f"{isolated(arm)}, mean: {number(mean)}" for mean in means]
        dots = [(a, v, r) for a, here in zip(at, met, strict=True) for r, v in here]
        series += [
            Series(
                "runs",
                [a for a, _, _ in dots],
                [value for _, value, _ in dots],
                [told(run, value, measure) for _, value, run in dots],
                i,
                arm,
                [run.status == "diverged" for _, _, run in dots],
            ),
            Series("mean", at, means, texts, i, arm),
        ]
        ends = [f"{number(m)} at {label(p)}" for p, m in zip(places, means, strict=True)]
        words.append(f"{arm}: {', '.join(ends)}")
    sentence = f"Mean {measure.title}. {'; '.join(words) or 'no run has a value'}."
    for line in published:
        series.append(paper(line))
        rows += [
            [depth, f"{line.name}, published", number(value), ""]
            for depth, value in zip(line.depths, line.values, strict=True)
        ]
        ends = [f"{number(v)} at {d}" for d, v in zip(line.depths, line.values, strict=True)]
        sentence += f" {line.name}, published: {', '.join(ends)}."
    known = all(isinstance(place.depth, (int, float)) for place in places)
    title = "depth (logarithmic)" if known and len(x) > 1 else ""
    last = max(x) + 0.4 + (ROOM if published else 0)
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


def told(run: Run, value: float, measure: Measure) -> str:
    """A run in words."""
    why = ", diverged" + (": counts as chance" if measure.score else "")
    end = why if run.status == "diverged" else ""
    return f"{isolated(run.arm)}, pair {run.pair}: {number(value)}{end}"


def paper(line: Line) -> Series:
    """What a paper published."""
    texts = [f"{isolated(line.name)}, published: {number(value)}" for value in line.values]
    return Series("published", line.places, line.values, texts, name=line.name)


def scores_of(record: Record, places: Sequence[Place]) -> tuple[Chart, Chart]:
    """Test score, beside published ones, and training score of a family."""
    arms, metric = list(record.declared.arms), metric_of(places)
    test = Measure(f"test {metric}", lambda run: run.value, score=True)
    train = Measure(f"training {metric}", lambda run: run.train)
    papers = list(lines(record, places))
    return (
        against_depth(places, record.cells, arms, test, papers),
        against_depth(places, record.cells, arms, train),
    )


def costs_of(record: Record, places: Sequence[Place]) -> list[Chart]:
    """Time and memory of a family."""
    time = Measure("ms a step", lambda run: scaled(run.seconds_per_step, 1e3), True)
    memory = Measure("peak memory, MiB", lambda run: scaled(run.peak_memory_bytes, 2**-20), True)
    arms = list(record.declared.arms)
    return [against_depth(places, record.cells, arms, measure) for measure in (time, memory)]


def scaled(value: float | None, factor: float) -> float | None:
    """A value in another unit, if it is known."""
    return None if value is None else value * factor
