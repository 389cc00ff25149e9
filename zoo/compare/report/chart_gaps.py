"""Forest plots of the gaps of pairs."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.record import Contrast, Place
from zoo.compare.report.chart import Axis, Chart, Series, isolated, label, metric_of
from zoo.compare.report.words import interval, number
from zoo.errors import cut

Entries = Sequence[tuple[Place, Contrast]]
SHIFT = 0.27  # of the pairs, below their mean


def entries_of(places: Sequence[Place]) -> Entries:
    """Every place with each of its contrasts."""
    return [(place, c) for place in places for c in place.contrasts]


def named(entries: Entries) -> list[str]:
    """What tells contrasts of one family apart: place, arm or both."""
    places = len({place.title for place, _ in entries}) > 1
    arms = len({c.arm for _, c in entries}) > 1
    texts = []
    for place, c in entries:
        parts = [cut(label(place), 20)] if places or not arms else []
        texts.append(": ".join([*parts, cut(c.arm, 20)] if arms else parts))
    return texts


def forest(family: str, entries: Entries, arms: Sequence[str]) -> Chart:
    """Every difference of a pair as a dot, their mean with its interval, and what matters."""
    metric = metric_of([place for place, _ in entries])
    delta = max((c.delta for _, c in entries), default=0.0)
    against = list({c.baseline for _, c in entries})
    baseline = cut(against[0], 24) if len(against) == 1 else "the baseline"
    told = [interval(c.gap) or "unknown" for _, c in entries]
    names = [f"{label(p)}, {c.arm} against {c.baseline}: {gap}"
             for (p, c), gap in zip(entries, told, strict=True)]  # fmt: skip
    rows = [
        [label(p), c.arm, c.baseline, gap, ", ".join(map(number, c.differences)), c.verdict]
        for (p, c), gap in zip(entries, told, strict=True)
    ]
    ended = any(c.gap for _, c in entries)
    return Chart(
        title=f"{family}: gap in {metric}" + (f"; band: ±{delta:g}" if delta else ""),
        words=f"Gaps of pairs in {metric}. {'; '.join(names)}.",
        head=("place", "arm", "baseline", "mean (95 % interval)", "every pair", "verdict"),
        rows=rows,
        series=[s for y, (_, c) in enumerate(entries) for s in marks(y, c, arms.index(c.arm))],
        x=Axis(f"← worse than {baseline} | better →", range=None if ended else (-1, 1)),
        y=Axis("", range(len(entries)), named(entries), (len(entries) - 0.4, -0.6)),
        band=delta,
        notes=[(0.0, y, "no pair has ended") for y, (_, c) in enumerate(entries) if not c.gap],
        height=110 + 34 * len(entries),
    )


def marks(y: int, c: Contrast, arm: int) -> list[Series]:
    """The differences of a contrast and their mean."""
    if c.gap is None:
        return []
    texts = [f"pair {s}: {number(d)}" for s, d in zip(c.seeds, c.differences, strict=True)]
    mean = f"{isolated(c.arm)} against {isolated(c.baseline)}: {interval(c.gap)}"
    dots = Series("pairs", c.differences, [y + SHIFT] * len(texts), texts, arm, c.arm)
    gap, low, high = c.gap.value, c.gap.low, c.gap.high
    return [dots, Series("gap", [gap], [y], [mean], arm, c.arm, (), low, high, c.exact_only)]
