"""The verb `compare`: plan, measure, run what is missing, analyse, report."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.compare.analysis.analyse import analysed, mean_of_known
from zoo.compare.analysis.record import Declared, Record
from zoo.compare.analysis.results import result_of, with_result
from zoo.compare.analysis.runs import Run
from zoo.compare.design.axes import Arm, Axes, Values
from zoo.compare.design.cell import Cell
from zoo.compare.design.foreign import design
from zoo.compare.design.plan import Plan, plan
from zoo.compare.design.script import names_program
from zoo.compare.design.spec import Comparison, declare
from zoo.compare.design.tuning import seeds_of_tuning, tuned_options
from zoo.compare.execution.costs import Cost, measure_costs
from zoo.compare.execution.dry_run import listing
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.local import local_engine
from zoo.compare.execution.progress import Progress
from zoo.compare.execution.schedule import Job, run_all
from zoo.compare.execution.store import Store
from zoo.compare.execution.tuning_runs import Tuned, announcement, tune
from zoo.compare.report.sources import PLAN
from zoo.compare.report.wandb_sync import sync
from zoo.compare.report.write import write_all
from zoo.errors import quoted
from zoo.report import Report
from zoo.run_folder import SCHEMA
from zoo.system.atomic import atomic_write
from zoo.system.console import OneLine

log = logging.getLogger("zoo")
UNKEYED = ("compare", "pairs", "seed", "workers", "per_gpu", "minutes", "mirror", "dry_run",
           "max_cells", "engine", "dir", "logger")  # words that leave it the same  # fmt: skip
FAILED = 7  # exit code where runs failed


@dataclass
class Underway:
    """A comparison that is under way.

    Args:
        name: of its declaration.
        words: of the command line.
        options: as declared.
        tuned: its runs, after tuning where some option is tuned.
        store: that holds them.
        engine: that runs them.
    """

    name: str
    words: Sequence[str]
    options: Comparison
    tuned: Tuned
    store: Store
    engine: Engine

    @property
    def plan(self) -> Plan:
        """All runs that are compared."""
        return self.tuned.plan

    def costs(self) -> tuple[dict[str, Cost], dict[str, str]]:
        """The cost of each kind of run, and for the kinds that have none the reason."""
        kinds = {cell.kind: cell for cell in self.plan.cells if cell.do == "cell"}
        return measure_costs(kinds, self.engine, self.store.path / "costs.json")

    def run(self, cell: Cell, cost: Cost | None) -> Run:
        """The record of a run that has not begun."""
        return Run(
            place=cell.place.title(),
            task=cell.place.task,
            family=cell.place.family,
            depth=cell.place.depth,
            settings=dict(cell.place.values),
            arm=cell.arm,
            pair=cell.pair,
            seed=cell.config.seed,
            id=cell.id(cost.data_digest if cost else ""),
            recipe=cell.recipe,
            flops=cost.flops if cost else None,
            command=cell.command_line(),
        )

    def jobs(self, runs: Sequence[Run], costs: Mapping[str, Cost]) -> list[Job]:
        """The runs that can begin: those of kinds whose cost is known, and those of commands."""
        seconds = {kind: cost.seconds for kind, cost in costs.items()}
        usual = self.seconds_of_ended(runs) if self.plan.scripts else None
        return [
            Job(run.id, cell.config.plain(), seconds.get(cell.kind, usual), cell.do)
            for run, cell in zip(runs, self.plan.cells, strict=True)
            if cell.do != "cell" or cell.kind in costs
        ]

    def seconds_of_ended(self, runs: Sequence[Run]) -> float | None:
        """The mean time of the runs that have ended; None before the first one has."""
        results = (result_of(run.id, [self.store.path]) for run in runs)
        return mean_of_known(result.seconds for result in results if result)

    def with_outcome(self, run: Run, reason: str) -> Run:
        """The record of a run with its result, or as failed for a reason."""
        result = result_of(run.id, [self.store.path])
        return with_result(run, result) if result else replace(run, status="failed", reason=reason)

    def record(self, runs: list[Run]) -> Record:
        """The record of the comparison without what is computed of its runs."""
        options, plan = self.options, self.plan
        compared, tuning = self.tuned.split(runs)
        return Record(
            schema=SCHEMA,
            name=self.name,
            command=quoted(["python", "-m", "zoo", "compare", *self.words]),
            declared=Declared(
                arms={arm.name: values_of(arm, options) for arm in plan.arms},
                baselines=plan.baselines,
                places=[place.title() for place in plan.places],
                pairs=plan.pairs,
                effects=options.effects,
                references=options.references,
                published=options.published,
                null=options.null,
                varied=plan.varied,
                tuned=list(dict.fromkeys(s.option for s in self.tuned.searches)),
                scripts=plan.scripts,
            ),
            cells=compared,
            tuning=tuning,
        )


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
    store = Store(folder_of(name, options, words))
    store.clean_up()
    with log_to_stderr(), local_engine(options, store) as engine:
        tuned = Tuned(planned)
        if names and not options.dry_run:
            seeds = seeds_of_tuning(options.tune_seeds, planned.pairs)
            planned = (tuned := tune(planned, names, seeds, store, engine)).plan
        underway = Underway(name, words, options, tuned, store, engine)
        log.info("%d runs in %s", len(planned.cells), store.path)
        costs, unmeasured = underway.costs()
        runs = [underway.run(cell, costs.get(cell.kind)) for cell in planned.cells]
        failed = {
            run.id: unmeasured[cell.kind]
            for run, cell in zip(runs, planned.cells, strict=True)
            if cell.kind in unmeasured
        }
        jobs = underway.jobs(runs, costs)
        if options.dry_run:
            listed = listing(runs, jobs, failed, store, engine, planned.hypotheses)
            seconds = sum(job.estimate or 0 for job in jobs) / engine.free
            more = announcement(planned, names, options.tune_seeds, seconds)
            return replace(listed, text="\n".join(filter(None, [listed.text, more])))
        record, plan_file = underway.record(runs), store.path / PLAN
        atomic_write(plan_file, json.dumps(record.plain()))
        try:
            with Progress(sys.stderr) as progress:
                tally = run_all(jobs, store, engine, progress.show)
        except KeyboardInterrupt:
            log.info("interrupted; the same command continues")
            raise
    failed |= tally.failed | tuned.failed
    ended = [underway.with_outcome(run, failed.get(run.id, "")) for run in runs]
    record = analysed(underway.record(ended), [store.path])
    text = write_all(record, store.path)
    plan_file.unlink(missing_ok=True)
    if options.mirror and axes.get("logger") != ["none"]:
        with log_to_stderr():
            sync(record, store.path)
    return Report(record.plain(), text, FAILED if failed else 0)


def folder_of(name: str, options: Comparison, words: Sequence[str]) -> Path:
    """The folder of a comparison; words that change what is compared add a key to its name.

    Args:
        name: of the declaration.
        options: as declared.
        words: of the command line.
    """
    bare = [word.removeprefix("compare.") for word in words]
    changing = sorted(word for word in bare if word.partition("=")[0] not in UNKEYED)
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


def values_of(arm: Arm, options: Comparison) -> Values:
    """The options of an arm, those of its declaration included."""
    values = dict(arm.values)
    return {**options.arms.get(values.pop("arm", ""), {}), **values}
