"""The methods of tuning as sentences for a paper."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from zoo.compare.analysis.aggregate import grouped
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.tuned import Search
from zoo.compare.design.tuning import FACTORS, FURTHER, STEP
from zoo.compare.execution.progress import duration
from zoo.compare.report.formats import measure_label
from zoo.compare.report.title import listed


def tuned(record: Record) -> Iterator[str]:
    """What was tuned, by which grid, seeds and budget, on what, and which values were chosen."""
    tuning = record.tuning
    if not tuning or not tuning.searches:
        return
    searches, seeds = tuning.searches, tuning.seeds
    counts = [len(search.trials) for search in searches]
    values = " to ".join(dict.fromkeys(f"{count}" for count in (min(counts), max(counts))))
    lost = sum(search.lost for search in searches)
    searched = [*dict.fromkeys(search.place for search in searches)]
    every = {place.title for place in record.places} <= {*searched}
    yield (
        f"Before, {listed(record.declared.tuned)} had been tuned for every arm at "
        f"{'every place' if every else listed(searched)}"
        f"{', one after another' if len(record.declared.tuned) > 1 else ''}. All arms tried the "
        f"configured value times {listed(str(Fraction(factor)) for factor in FACTORS)}. Where the "
        f"best value of any arm at a place lay at an end, all arms there took another step of "
        f"{STEP:g} to that side, at most {FURTHER} to each ({values} values of each option)."
    )
    yield (
        f"Each value was trained {'once' if len(seeds) == 1 else f'{len(seeds)} times'}, with "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(map(str, seeds))}, which no pair has: "
        f"{sum(search.runs for search in searches)} runs in all, {lost} without a result, and "
        f"{duration(sum(search.seconds for search in searches))} of training and evaluation."
    )
    metrics = dict.fromkeys(measure_label(search.metric) for search in searches if search.metric)
    yield (
        f"Values rank by the mean over these seeds of {listed(metrics)} at the last step, and last "
        "where a run diverged or failed. The search read validation parts alone, and no example "
        "that a pair at the same place tests was among those it trained or validated on."
    )
    yield f"Chosen: {'; '.join(chosen(searches))}. All pairs ran at the configured values as well."


def chosen(searches: list[Search]) -> Iterator[str]:
    """The best values of all arms, for each option at each place."""
    for (option, place), some in grouped(searches, lambda s: (s.option, s.place)):
        values = (f"{s.arm} {s.chosen:g} (configured {s.configured:g})" for s in some)
        yield f"{option} at {place}: {listed(values)}"
