"""Sentences on what the streams of one pair do by depth."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from zoo.compare.analysis.aggregate import families
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.streams import ByDepth, StreamOfRun
from zoo.compare.report.chart_why import quantities
from zoo.compare.report.formats import number, scientific
from zoo.errors import listed

Number = Callable[[ByDepth], float | None]
UNPROBED = (
    "No run was probed here. Where runs are short, why=true has the first pair probed; runs that "
    "were trained without it stay as they are."
)


def whys(record: Record) -> list[tuple[str, list[str]]]:
    """The deepest place of every family with sentences on its streams; none for a command."""
    deepest = [members[-1] for _, members in families(record.places)]
    return [
        (place.title, why([s for s in record.streams if s.place == place.title]))
        for place in deepest
        if place.task not in record.declared.scripts
    ]


def why(streams: Sequence[StreamOfRun]) -> list[str]:
    """Sentences on the streams of one pair at a place: gradient, branch and collapse.

    Args:
        streams: of its arms.
    """
    if not streams:
        return [UNPROBED]
    measure = next((s.seen.measure for s in streams if s.seen.measure), "")
    collapse = quantities(measure)[-1].title
    gradients = told(streams, gradient_ratio)
    shares = told(streams, median_share, "%")
    ends = told(streams, last_collapse)
    sentences = [
        f"On its way back from the last write to the first the gradient changes by a factor of "
        f"{gradients}."
        if gradients
        else "",
        f"Of the size of the stream the median branch writes {shares}." if shares else "",
        f"After the last write the {collapse} is {ends}." if ends else "",
        *(f"{s.arm}: {s.seen.reason}." for s in streams if s.seen.reason),
        basis(streams) if any(s.seen.start or s.seen.end for s in streams) else "",
    ]
    return [sentence for sentence in sentences if sentence]


def told(streams: Sequence[StreamOfRun], of: Number, unit: str = "") -> str:
    """A number of every arm as training begins and as it ends; empty where none is known."""
    texts = []
    for stream in streams:
        passes = (("at the start", stream.seen.start), ("at the end", stream.seen.end))
        known = [(when, words(of(one), unit)) for when, one in passes if one]
        if said := listed([f"{text} {when}" for when, text in known if text], 2):
            texts.append(f"{said} in {stream.arm}")
    return "; ".join(texts)


def words(value: float | None, unit: str) -> str:
    """A number with its unit; empty for None."""
    if value is None:
        return ""
    return f"{number(100 * value, 2)} %" if unit == "%" else scientific(value, 2)


def gradient_ratio(seen: ByDepth) -> float | None:
    """The gradient before the first write over that after the last; None where it is not known."""
    first, last = (seen["gradient"][i] if seen["gradient"] else None for i in (0, -1))
    return first / last if first is not None and last else None


def median_share(seen: ByDepth) -> float | None:
    """The median share of a branch in its stream; None where none is known."""
    known = [share for share in seen["share"] if share is not None]
    return statistics.median(known) if known else None


def last_collapse(seen: ByDepth) -> float | None:
    """The measure of collapse after the last write; None where it is not known."""
    return seen["collapse"][-1] if seen["collapse"] else None


def basis(streams: Sequence[StreamOfRun]) -> str:
    """On what these sentences are based."""
    seeds = listed([str(seed) for seed in dict.fromkeys(s.seed for s in streams)], 3)
    batches = {(s.data, s.seen.batch) for s in streams if s.seen.batch}
    batch = "the same training examples" if len(batches) < 2 else "training examples of its own"
    plural = "s" if ", " in seeds or " and " in seeds else ""
    probes, runs = sum(s.seen.seconds for s in streams), sum(s.seconds or 0 for s in streams)
    cost = f" The probes took {scientific(100 * probes / runs, 2)} % of the time." if runs else ""
    return (
        f"One pair (seed{plural} {seeds}), each net in training mode on {batch}: a look, no test."
        f"{cost}"
    )
