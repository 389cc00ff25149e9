"""Charts of learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.compare.analysis.curves import Curve, Curves, measures
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.summaries import PlaceSummary
from zoo.compare.report.chart import Axis, Chart, Series
from zoo.compare.report.formats import event_text, measure_label, number

EVENT_KINDS = ("spike", "skip", "rollback")
LOGARITHMIC = 100  # ratio of the largest to the smallest value above which an axis is logarithmic


def learning_curves(
    place: PlaceSummary, runs: Sequence[Run], arms: Sequence[str], curves: Curves
) -> Chart:
    """Every run at a place as a thin line; a cross ends one that diverged, other marks are events.

    Args:
        place: whose runs are shown.
        runs: of the comparison.
        arms: names of all arms, whose order gives their colours.
        curves: of all runs.
    """
    shown = [run for run in runs if run.place == place.title and run.id in curves]
    series: list[Series] = []
    rows: list[list[str]] = []
    logarithmic = []
    for measure in measures(place.metric, (curves[run.id] for run in shown)):
        name = measure_label(measure)
        values = [v for run in shown for _, v in curves[run.id].get(measure, ())]
        if min(values) > 0 and max(values) > LOGARITHMIC * min(values):
            logarithmic.append(name)
        for i, arm in enumerate(arms):
            lines = [(run, curve) for run in shown
                     if run.arm == arm and (curve := curves[run.id].get(measure))]  # fmt: skip
            if not lines:
                continue
            x = [at for _, curve in lines for at in (*(step for step, _ in curve), None)]
            y = [at for _, curve in lines for at in (*(value for _, value in curve), None)]
            series.append(Series("curve", x, y, (), i, arm, measure=name))
            ends = [curve[-1] for run, curve in lines if run.status == "diverged"]
            marks = [("end", ends, ["diverged"] * len(ends))]
            marks += event_marks(lines) if measure == "train/loss" else []
            for kind, points, texts in marks:
                if points:
                    x, y = [x for x, _ in points], [y for _, y in points]
                    series.append(Series(kind, x, y, texts, i, arm, measure=name))
            first, last = ([curve[end][1] for _, curve in lines] for end in (0, -1))
            rows.append([name, arm, mean_and_range(first), mean_and_range(last)])
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
        logarithmic=logarithmic,
        height=280,
    )


def event_marks(lines: Iterable[tuple[Run, Curve]]) -> list[tuple[str, Curve, list[str]]]:
    """For each kind of events its name, the points on the curves and the texts of the events.

    Args:
        lines: runs with their curves.
    """
    events = [
        (event["kind"], (event["step"], value_at(curve, event["step"])), event_text(event))
        for run, curve in lines
        for event in run.events
    ]
    return [
        (
            kind,
            [at for k, at, _ in events if k == kind],
            [text for k, _, text in events if k == kind],
        )
        for kind in EVENT_KINDS
    ]


def value_at(curve: Curve, step: int) -> float:
    """The value of a curve at a step, or at its last point before."""
    return next((value for at, value in reversed(curve) if at <= step), curve[0][1])


def mean_and_range(values: Sequence[float]) -> str:
    """The mean of some values and, where there are several, the smallest and the largest."""
    mean = number(sum(values) / len(values))
    if len(values) < 2:
        return mean
    return f"{mean} ({number(min(values))} to {number(max(values))})"
