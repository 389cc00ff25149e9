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
from typing import Any

from zoo.compare.analysis.analyse import with_result
from zoo.compare.analysis.record import Declared, Record
from zoo.compare.analysis.runs import Run
from zoo.compare.design.axes import Arm, Values
from zoo.compare.design.cell import Cell
from zoo.compare.design.command import command
from zoo.compare.design.plan import Plan, plan
from zoo.compare.design.spec import Comparison, declare
from zoo.compare.execution.costs import Costs, measured
from zoo.compare.execution.dry_run import listing
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.local import local
from zoo.compare.execution.progress import Progress
from zoo.compare.execution.schedule import Job, run_all
from zoo.compare.execution.store import Store
from zoo.compare.report.merge import assembled
from zoo.compare.report.sources import PLAN
from zoo.compare.report.wandb_sync import mirror
from zoo.compare.report.write import write_all
from zoo.errors import quoted
from zoo.report import Report
from zoo.run_folder import SCHEMA
from zoo.system.atomic import atomic_write
from zoo.system.console import OneLine

log = logging.getLogger("zoo")
SAME = ("compare", "pairs", "seed", "workers", "per_gpu", "minutes", "mirror", "dry_run",
        "max_cells", "engine", "dir", "logger")  # leave the comparison what it is  # fmt: skip
FAILED = 7  # exit code where cells failed


@dataclass
class Comparing:
    """A comparison under way.

    Args:
        name: of its declaration.
        words: of the command line.
        options: as declared.
        plan: its cells.
        store: its folder.
        engine: what runs them.
    """

    name: str
    words: Sequence[str]
    options: Comparison
    plan: Plan
    store: Store
    engine: Engine

    def costs(self) -> Costs:
        """What every kind of run will cost."""
        kinds = {cell.kind: cell for cell in self.plan.cells}
        return measured(kinds, self.engine, self.store.path / "costs.json")

    def run(self, cell: Cell, cost: Mapping[str, Any]) -> Run:
        """A cell as a run that waits."""
        return Run(
            place=cell.place.title(),
            task=cell.place.task,
            family=cell.place.family,
            depth=cell.place.depth,
            settings=dict(cell.place.values),
            arm=cell.arm,
            pair=cell.pair,
            seed=cell.config.seed,
            id=cell.id(cost.get("data_digest", "")),
            recipe=cell.recipe,
            flops=cost.get("flops"),
            command=command(cell),
        )

    def jobs(self, runs: list[Run], costs: Costs) -> tuple[list[Job], dict[str, str]]:
        """The runs that can begin, and why the others cannot, by their addresses."""
        jobs, lost = [], {}
        for run, cell in zip(runs, self.plan.cells, strict=True):
            cost = costs[cell.kind]
            if "lost" in cost:
                lost[run.id] = cost["lost"]
            else:
                jobs.append(Job(run.id, cell.config.plain(), cost["seconds"]))
        return jobs, lost

    def ended(self, run: Run, why: str) -> Run:
        """A run with its result, or failed."""
        result = self.store.result(run.id)
        return with_result(run, result) if result else replace(run, status="failed", reason=why)


def compare(words: Sequence[str]) -> Report:
    """Runs a comparison, or what of it is missing, and reports it."""
    name, options, given = declare(words)
    found = plan(options, given)
    store = Store(folder(name, options, words))
    store.sweep()
    with messages(), local(options, store) as engine:
        comparing = Comparing(name, words, options, found, store, engine)
        log.info("%d runs in %s", len(found.cells), store.path)
        costs = comparing.costs()
        runs = [comparing.run(cell, costs[cell.kind]) for cell in found.cells]
        jobs, lost = comparing.jobs(runs, costs)
        if options.dry_run:
            return Report(*listing(runs, jobs, lost, store, engine, found.hypotheses))
        record, plans = outline(comparing, runs), store.path / PLAN
        atomic_write(plans, json.dumps(record.plain()))
        try:
            with Progress(sys.stderr) as progress:
                tally = run_all(jobs, store, engine, progress.show)
        except KeyboardInterrupt:
            log.info("interrupted; the same command continues")
            raise
    lost |= tally.failed
    record.cells = [comparing.ended(run, lost.get(run.id, "")) for run in runs]
    record = assembled(record, [store.path])
    text = write_all(record, store.path)
    plans.unlink(missing_ok=True)
    if options.mirror and given.get("logger") != ["none"]:
        with messages():
            mirror(record, store.path)
    return Report(record.plain(), text, FAILED if lost else 0)


def folder(name: str, options: Comparison, words: Sequence[str]) -> Path:
    """Where a comparison lies: more pairs of the same runs come to those that are there."""
    bare = [word.removeprefix("compare.") for word in words]
    rest = sorted(word for word in bare if word.partition("=")[0] not in SAME)
    key = f"-{hashlib.sha256(json.dumps(rest).encode()).hexdigest()[:6]}" if rest else ""
    return Path(options.dir or f"runs/compare-{name}{key}")


@contextmanager
def messages() -> Iterator[None]:
    """Messages of the project go to stderr."""
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
    """What an arm sets, of one that is named too."""
    values = dict(arm.values)
    return {**options.arms.get(values.pop("arm", ""), {}), **values}


def outline(comparing: Comparing, runs: list[Run]) -> Record:
    """The record of a comparison before anything is computed."""
    options, found = comparing.options, comparing.plan
    return Record(
        schema=SCHEMA,
        name=comparing.name,
        command=quoted(["python", "-m", "zoo", "compare", *comparing.words]),
        declared=Declared(
            arms={arm.name: values_of(arm, options) for arm in found.arms},
            baselines=found.baselines,
            places=[place.title() for place in found.places],
            pairs=found.pairs,
            effects=options.effects,
            references=options.references,
            published=options.published,
            null=options.null,
        ),
        cells=runs,
    )
