"""What was tuned in the folders of several comparisons, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zoo.compare.analysis.tuned import Search, Tuning
from zoo.compare.report.join_sources import ALONE, join_runs
from zoo.compare.report.sources import Source
from zoo.errors import ConfigError


def join_tuning(sources: Sequence[Source]) -> Tuning | None:
    """What was tuned in all folders; ConfigError where two searches for the same disagree."""
    tuned = [(source, source.record.tuning) for source in sources if source.record.tuning]
    searches: dict[tuple[str, str, str], Search] = {}
    for source, tuning in tuned:
        for search in tuning.searches:
            key = (search.place, search.arm, search.option)
            known = searches.setdefault(key, search)
            if replace(search, seconds=known.seconds) != known:
                what = f"{search.option} of {search.arm} was tuned in another way in another folder"
                raise ConfigError(what, f"{source.path}: {search.place}", ALONE)
    if not tuned:
        return None
    return Tuning(
        seeds=list(dict.fromkeys(seed for _, tuning in tuned for seed in tuning.seeds)),
        searches=list(searches.values()),
        configured=join_runs(tuned_apart(tuned)),
        runs=[*{run.id: run for _, tuning in tuned for run in tuning.runs}.values()],
    )


def tuned_apart(tuned: Sequence[tuple[Source, Tuning]]) -> list[Source]:
    """The folders with their runs at the configured values in the place of the tuned ones."""
    return [replace(s, record=replace(s.record, cells=t.configured)) for s, t in tuned]
