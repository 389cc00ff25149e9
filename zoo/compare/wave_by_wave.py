"""The runs of a comparison, wave by wave, each of which ends with a complete report."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from zoo.compare.analysis.analyse import undecided
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import Run
from zoo.compare.design.waves import waves
from zoo.compare.execution.progress import Progress
from zoo.compare.execution.schedule import Tally, run_all
from zoo.compare.report.foresee import foresee
from zoo.compare.report.sentences import news
from zoo.compare.report.write import write_all, write_record
from zoo.compare.underway import Underway

log = logging.getLogger("zoo")


def run_waves(
    underway: Underway, runs: Sequence[Run], tally: Tally, progress: Progress
) -> tuple[Record, str]:
    """Runs wave by wave and reports after each; returns the last record, and its report in text.

    Args:
        underway: the comparison.
        runs: that it has at most.
        tally: of them.
        progress: shown while they run.
    """
    store, auto = underway.store, underway.options.pairs == "auto"
    pairs: list[int] = []
    every = list(waves(underway.plan.pairs, 1 if auto else underway.options.together))
    for wave in every:
        pairs += wave
        jobs = [job for job in tally.left if job.pair in wave]
        begun = pairs if auto else underway.plan.pairs
        if jobs:
            record = underway.record(runs, begun, tally.failed)
            write_record(foresee(record, [store.path], look=False), store.path)
            run_all(jobs, tally, store, underway.engine, progress.show)
        record = underway.record(runs, begun, tally.failed)
        ends = wave is every[-1] or (auto and not undecided(record))
        if jobs or ends:
            record = foresee(record, [store.path])
            text = write_all(record, store.path)
            progress.end_line()
            log.info("%s: %s", news(record), store.path / "report.html")
        if ends:
            break
    return record, text
