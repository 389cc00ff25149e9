"""Numbers, intervals and other values of a record as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zoo.compare.analysis.over_tasks import Average
from zoo.compare.analysis.runs import Event, Run
from zoo.compare.analysis.statistics import Interval
from zoo.compare.analysis.summaries import Contrast
from zoo.errors import listed

PARTS = {"train": "training", "val": "validation"}  # of the data, as people say it
MARK = " (exploratory)"  # of verdicts outside of the correction or of the plan
ROUNDING = 5e-7  # a number nearer to zero is shown as 0


def number(value: float | None, digits: int = 3) -> str:
    """A number with some significant digits; empty for None and what is not finite.

    >>> number(0.98765), number(-12.34), number(None)
    ('0.988', '-12.3', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    if abs(value) < ROUNDING:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 6)}f}"


def scientific(value: float | None, digits: int = 3) -> str:
    """A number of any size with some significant digits; empty for None.

    >>> scientific(0.98765), scientific(123456.0), scientific(2.5e-7, 2), scientific(None)
    ('0.988', '1.23e5', '2.5e-7', '')
    """
    if value is None:
        return ""
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def probability(p: float | None) -> str:
    """A p value; one that is tiny never as zero, and words where pairs are too few for one.

    >>> probability(0.0078125), probability(2**-29), probability(None)
    ('0.00781', '< 0.0001', 'too few pairs')
    """
    if p is None:
        return "too few pairs"
    return number(p) if p >= 1e-4 else "< 0.0001"


def measure_label(name: str | None) -> str:
    """A measure as people read it.

    >>> measure_label("test/mean_iou"), measure_label("val/loss"), measure_label(None)
    ('test mean IoU', 'validation loss', '')
    """
    part, _, rest = (name or "").partition("/")
    words = ("IoU" if word == "iou" else word for word in rest.split("_"))
    return " ".join([PARTS.get(part, part), *words]).strip()


def interval(estimate: Interval | None) -> str:
    """An estimate with the ends of its interval, if it has one; empty for None.

    >>> interval(Interval(0.5, 0.25, 0.75)), interval(Interval(0.5, None, None))
    ('0.500 (0.250 to 0.750)', '0.500')
    """
    if estimate is None:
        return ""
    if estimate.low is None:
        return f"{number(estimate.value)}"
    return f"{number(estimate.value)} ({number(estimate.low)} to {number(estimate.high)})"


def rounded(estimate: Interval | None, delta: float) -> str:
    """An estimate with its interval, to a tenth of the smallest effect.

    >>> rounded(Interval(0.2412, 0.10061, 0.3), 0.05), rounded(Interval(0.2412, None, None), 0)
    ('0.241 (0.101 to 0.300)', '0.241')
    """
    if estimate is None or delta <= 0:
        return interval(estimate)
    decimals = max(0, 1 - math.floor(math.log10(delta)))
    value, *ends = (
        f"{x:.{decimals}f}" for x in (estimate.value, estimate.low, estimate.high) if x is not None
    )
    return f"{value} ({' to '.join(ends)})" if ends else value


def secondary_gap(contrast: Contrast, name: str) -> str:
    """A gap by another measure, with its number of pairs where these are not all.

    Args:
        contrast: that has it.
        name: of the measure, a key of `Contrast.secondary`.
    """
    view = contrast.secondary[name]
    text = interval(view)
    if view is None or view.pairs == contrast.pairs:
        return text
    return f"{text}, {view.pairs} of {contrast.pairs} pairs"


def range_without_a_task(average: Average) -> str:
    """The smallest and the largest gap of an average when one of its tasks is left out."""
    ranked = sorted(average.without.items(), key=lambda item: item[1])
    ends = [f"{number(gap)} without {task}" for task, gap in (*ranked[:1], *ranked[1:][-1:])]
    return " to ".join(ends)


def directions(average: Average) -> str:
    """In how many tasks the median gap lies beyond the smallest effect, and where a test shows it.

    The word "better" is kept for what is tested.
    """

    def shown(names: list[str]) -> str:
        return f"shown in {sum(name in average.shown for name in names)}"

    count, better = len(average.tasks), average.better
    texts = [
        f"median beyond the smallest effect in {len(better)} of {count} tasks ({shown(better)})"
    ]
    texts += [f"within it in {listed(average.alike, 3)}"] if average.alike else []
    if worse := average.worse:
        texts.append(f"beyond it to the other side in {listed(worse, 3)} ({shown(worse)})")
    return ", ".join(texts)


def marked(words: str) -> str:
    """Words with the mark of what explores, once; nothing of nothing.

    >>> marked("a better"), marked("a better (exploratory)"), marked("")
    ('a better (exploratory)', 'a better (exploratory)', '')
    """
    return words if not words or words.endswith(MARK) else f"{words}{MARK}"


def why_no_score(run: Run) -> str:
    """Why a run that failed or diverged has no score from its training."""
    counts = "" if run.value is None else "counts as chance"
    return "; ".join(filter(None, [counts, run.reason]))


def event_text(event: Event) -> str:
    """A loss out of the usual, or a lost step, in a few words.

    >>> event_text({"step": 7, "kind": "spike", "value": 12.0, "median": 0.5})
    'step 7: a loss of 12.0, usual are 0.500'
    >>> event_text({"step": 7, "kind": "skip", "value": None})
    'step 7: not finite, left out'
    """
    if event["kind"] == "spike":
        text = f"a loss of {number(event['value'])}, usual are {number(event['median'])}"
    elif event["kind"] == "rollback":
        text = f"not finite, back to step {event['to']}"
    else:
        text = "not finite, left out"
    return f"step {event['step']}: {text}"


def keys_and_values(values: Mapping[str, Any]) -> str:
    """Each key with its value, separated by commas.

    >>> keys_and_values({"cores": 2, "gpus": []}), keys_and_values({})
    ('cores 2, gpus none', 'not recorded')
    """
    texts = (f"{key} {'none' if value == [] else value}" for key, value in values.items())
    return ", ".join(texts) or "not recorded"


def scaled(value: float | None, factor: float) -> float | None:
    """A value times a factor; None for None."""
    return None if value is None else value * factor
