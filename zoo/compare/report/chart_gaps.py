"""Forest plots of the gaps of pairs."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.report.chart import Axis, Chart, Series, isolated, label, metric_of
from zoo.compare.report.formats import interval, number
from zoo.errors import cut

Entries = Sequence[tuple[PlaceSummary, Contrast]]
BELOW = 0.27  # distance of the pairs from their median, in rows


def contrast_labels(entries: Entries) -> list[str]:
    """A label for each contrast of a family: its place, its arm or both, whichever differ."""
    places = len({place.title for place, _ in entries}) > 1
    arms = len({c.arm for _, c in entries}) > 1
    labels = []
    for place, c in entries:
        parts = [cut(label(place), 20)] if places or not arms else []
        labels.append(": ".join([*parts, cut(c.arm, 20)] if arms else parts))
    return labels


def forest(family: str, entries: Entries, arms: Sequence[str]) -> Chart:
    """The difference of every pair as a dot, their median with its interval, and a band about zero.

    Args:
        family: title of the places without the depth.
        entries: contrasts of the family, each with its place.
        arms: names of all arms, whose order gives their colours.
    """
    metric = metric_of([place for place, _ in entries])
    delta = max((c.delta for _, c in entries), default=0.0)
    baselines = list({c.baseline for _, c in entries})
    baseline = cut(baselines[0], 24) if len(baselines) == 1 else "the baseline"
    gaps = [interval(c.gap) or "unknown" for _, c in entries]
    sentences = [f"{label(p)}, {c.arm} against {c.baseline}: {gap}"
                 for (p, c), gap in zip(entries, gaps, strict=True)]  # fmt: skip
    rows = [
        [label(p), c.arm, c.baseline, gap, ", ".join(map(number, c.differences)), c.verdict]
        for (p, c), gap in zip(entries, gaps, strict=True)
    ]
    ended = any(c.gap for _, c in entries)
    return Chart(
        title=f"{family}: gap in {metric}" + (f"; band: ±{delta:g}" if delta else ""),
        words=f"Gaps of pairs in {metric}. {'; '.join(sentences)}.",
        head=("place", "arm", "baseline", "median (95 % interval)", "every pair", "verdict"),
        rows=rows,
        series=[
            s for y, (_, c) in enumerate(entries) for s in contrast_series(y, c, arms.index(c.arm))
        ],
        x=Axis(f"← worse than {baseline} | better →", range=None if ended else (-1, 1)),
        y=Axis("", range(len(entries)), contrast_labels(entries), (len(entries) - 0.4, -0.6)),
        band=delta,
        notes=[(0.0, y, "no pair has ended") for y, (_, c) in enumerate(entries) if not c.gap],
        height=110 + 34 * len(entries),
    )


def contrast_series(y: int, c: Contrast, arm: int) -> list[Series]:
    """The differences of a contrast and their median; nothing where no pair has ended.

    Args:
        y: row of the contrast.
        c: the contrast.
        arm: number of its arm.
    """
    if c.gap is None:
        return []
    texts = [f"pair {s}: {number(d)}" for s, d in zip(c.seeds, c.differences, strict=True)]
    text = f"{isolated(c.arm)} against {isolated(c.baseline)}: {interval(c.gap)}"
    dots = Series("pairs", c.differences, [y + BELOW] * len(texts), texts, arm, c.arm)
    gap, low, high = c.gap.value, c.gap.low, c.gap.high
    return [dots, Series("gap", [gap], [y], [text], arm, c.arm, (), low, high)]
