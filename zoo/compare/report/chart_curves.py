"""Charts of learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.compare.analysis.curves import Curve, Curves, measures
from zoo.compare.analysis.record import Place
from zoo.compare.analysis.runs import Run
from zoo.compare.report.chart import Axis, Chart, Series
from zoo.compare.report.words import event_words, number

EVENTS = ("spike", "skip", "rollback")
DECADES = 100  # between the smallest and the largest value, from which an axis is logarithmic


def learning(place: Place, runs: Sequence[Run], arms: Sequence[str], curves: Curves) -> Chart:
    """Every run as a thin line; a cross ends a run that diverged, other marks are events."""
    own = [run for run in runs if run.place == place.title and run.id in curves]
    series: list[Series] = []
    rows: list[list[str]] = []
    falls = []
    for measure in measures(place.metric, (curves[run.id] for run in own)):
        values = [v for run in own for _, v in curves[run.id].get(measure, ())]
        if min(values) > 0 and max(values) > DECADES * min(values):
            falls.append(measure)
        for i, arm in enumerate(arms):
            met = [(run, c) for run in own
                   if run.arm == arm and (c := curves[run.id].get(measure))]  # fmt: skip
            if not met:
                continue
            ends = [curve[-1] for run, curve in met if run.status == "diverged"]
            x = [at for _, curve in met for at in (*(step for step, _ in curve), None)]
            y = [at for _, curve in met for at in (*(value for _, value in curve), None)]
            series.append(Series("curve", x, y, (), i, arm, measure=measure))
            found = [("end", ends, ["diverged"] * len(ends))]
            found += events(met) if measure == "train/loss" else []
            for kind, points, texts in found:
                if points:
                    x, y = [x for x, _ in points], [y for _, y in points]
                    series.append(Series(kind, x, y, texts, i, arm, measure=measure))
            first, last = ([curve[end][1] for _, curve in met] for end in (0, -1))
            rows.append([measure, arm, spread(first), spread(last)])
    words = "; ".join(f"{m}, {a}: from {f} to {t}" for m, a, f, t in rows)
    return Chart(
        title=place.title,
        words=f"Learning curves at {place.title}. {words or 'No run has curves'}.",
        head=("measure", "arm", "first", "last"),
        rows=rows,
        series=series,
        x=Axis("step"),
        y=Axis(range=None if series else (-1, 1)),
        notes=[] if series else [(0.0, 0.0, "no run has curves")],
        logarithmic=falls,
        height=280,
    )


def events(met: Iterable[tuple[Run, Curve]]) -> list[tuple[str, Curve, list[str]]]:
    """For each kind of events where runs had some, and what they were."""
    told = [
        (event["kind"], (event["step"], height(curve, event["step"])), event_words(event))
        for run, curve in met
        for event in run.events
    ]
    return [
        (kind, [at for k, at, _ in told if k == kind], [text for k, _, text in told if k == kind])
        for kind in EVENTS
    ]


def height(curve: Curve, step: int) -> float:
    """The value of a curve at a step, or at its last point before."""
    return next((value for at, value in reversed(curve) if at <= step), curve[0][1])


def spread(values: Sequence[float]) -> str:
    """The mean of some values and, where there are several, the smallest and the largest."""
    mean = number(sum(values) / len(values))
    if len(values) < 2:
        return mean
    return f"{mean} ({number(min(values))} to {number(max(values))})"
