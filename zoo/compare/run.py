"""The verb `compare`: plan, measure, lock the plan, run wave by wave, analyse, report."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from zoo.compare.design.axes import Axes
from zoo.compare.design.engine_words import is_of_engine
from zoo.compare.design.foreign import design
from zoo.compare.design.opened import opened
from zoo.compare.design.plan import plan
from zoo.compare.design.script import names_program
from zoo.compare.design.spec import Comparison, declare
from zoo.compare.design.tuning import seeds_of_tuning, tuned_options
from zoo.compare.execution.dry_run import listing
from zoo.compare.execution.engines.start import at_work, new_engine
from zoo.compare.execution.progress import Progress
from zoo.compare.execution.schedule import Tally
from zoo.compare.execution.store import LOGS, Store
from zoo.compare.execution.tuning_runs import Tuned, announcement, tune
from zoo.compare.report.wandb_sync import sync
from zoo.compare.underway import Underway
from zoo.compare.wave_by_wave import run_waves
from zoo.report import Report
from zoo.system.console import OneLine

log = logging.getLogger("zoo")
# words that leave the folder the same
UNKEYED = ("compare", "pairs", "limit", "seed", "workers", "together", "minutes", "mirror", "dir",
           "dry_run", "max_cells", "why", "logger")  # fmt: skip
FAILED = 7  # exit code where runs failed


def compare(words: Sequence[str]) -> Report:
    """Runs a comparison, or what of it is missing, and reports it.

    Args:
        words: of the command line.
    """
    axes: Axes = {}
    if names_program(words):
        name, options, planned = design(words)
    else:
        name, options, axes = declare(words)
        planned = plan(options, axes)
    names = tuned_options(options, planned, axes)
    folder = folder_of(name, options, words)
    engine = new_engine(options, folder / LOGS, devices=planned.devices)  # or there is no folder
    store = Store(folder)
    store.clean_up()
    with log_to_stderr(), contextlib.closing(store), at_work(engine):
        underway = Underway(name, words, options, Tuned(planned, names), store, engine)
        if names and not options.dry_run:
            opened(store.path, underway.settled, trains=False)
            seeds = seeds_of_tuning(options.tune_seeds, planned.pairs)
            underway.tuned = tune(planned, names, seeds, store, engine, options.together)
            planned = underway.plan
        log.info("%d runs in %s", len(planned.cells), store.path)
        costs, unmeasured = underway.costs()
        for what in underway.alone(costs).values():
            log.info("trains alone: %s", what)
        runs = [underway.run(cell, costs.get(cell.kind)) for cell in planned.cells]
        failed = {
            run.id: unmeasured[cell.kind]
            for run, cell in zip(runs, planned.cells, strict=True)
            if cell.kind in unmeasured
        }
        jobs = underway.jobs(runs, costs)
        tally = Tally.of(jobs, store)
        tally.failed |= failed
        if options.dry_run:
            listed = listing(planned, underway.declared.test, runs, tally, engine)
            seconds = sum(job.estimate or 0 for job in jobs) / engine.free
            more = announcement(planned, names, options.tune_seeds, seconds)
            return replace(listed, text="\n".join(filter(None, [listed.text, more])))
        opened(store.path, underway.settled, trains=bool(tally.jobs))
        try:
            with Progress(sys.stderr, at_most=options.pairs == "auto") as progress:
                record, text = run_waves(underway, runs, tally, progress)
        except KeyboardInterrupt:
            log.info("interrupted; the same command continues")
            raise
    if options.mirror and "wandb" in axes.get("logger", ["wandb"]):
        with log_to_stderr():
            sync(record, store.path)
    return Report(record.plain(), text, FAILED if tally.failed or underway.tuned.failed else 0)


def folder_of(name: str, options: Comparison, words: Sequence[str]) -> Path:
    """The folder of a comparison; words that change what is compared add a key to its name.

    Args:
        name: of the declaration.
        options: as declared.
        words: of the command line.
    """
    bare = [word.removeprefix("compare.") for word in words]
    keys = {word: word.partition("=")[0] for word in bare}
    changing = sorted(w for w in bare if keys[w] not in UNKEYED and not is_of_engine(keys[w]))
    digest = hashlib.sha256(json.dumps(changing).encode()).hexdigest()[:6]
    return Path(options.dir or f"runs/compare-{name}{f'-{digest}' if changing else ''}")


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Writes the project's log to stderr inside the block."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("zoo: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
