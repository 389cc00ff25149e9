"""The verb `compare`: plan, measure, run what is missing, analyse, report."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoo.cli.report import Report
from zoo.compare.analysis.record import WAITING, Row, row_of
from zoo.compare.design.axes import Arm, Values
from zoo.compare.design.cell import Cell
from zoo.compare.design.command import command
from zoo.compare.design.plan import Plan, plan
from zoo.compare.design.spec import Comparison, declare
from zoo.compare.execution.costs import measured
from zoo.compare.execution.dry_run import listing
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.local import local
from zoo.compare.execution.progress import Progress
from zoo.compare.execution.schedule import Job, run_all
from zoo.compare.execution.store import Store
from zoo.compare.report.merge import PLAN, assemble
from zoo.compare.report.wandb_sync import mirror
from zoo.compare.report.write import write_all
from zoo.errors import quoted
from zoo.run_folder import SCHEMA, write_whole
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

    def costs(self) -> dict[str, Row]:
        """What every kind of run will cost."""
        kinds = {cell.kind: cell for cell in self.plan.cells}
        return measured(kinds, self.engine, self.store.path / "costs.json")

    def facts(self, cell: Cell, costs: Row) -> Row:
        """What is known of a cell before it runs."""
        return {
            "place": cell.place.title(),
            "task": cell.place.task,
            "family": cell.place.family,
            "depth": cell.place.depth,
            "settings": dict(cell.place.values),
            "arm": cell.arm,
            "pair": cell.pair,
            "seed": cell.config.seed,
            "id": cell.id(costs.get("data_digest", "")),
            "recipe": cell.recipe,
            "flops": costs.get("flops"),
            "command": command(cell),
        }

    def jobs(self, facts: list[Row], costs: dict[str, Row]) -> tuple[list[Job], dict[str, str]]:
        """The cells that can run, and why the others cannot, by their addresses."""
        jobs, lost = [], {}
        for fact, cell in zip(facts, self.plan.cells, strict=True):
            cost = costs[cell.kind]
            if "lost" in cost:
                lost[fact["id"]] = cost["lost"]
            else:
                jobs.append(Job(fact["id"], cell.config.plain(), cost["seconds"]))
        return jobs, lost


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
        facts = [comparing.facts(cell, costs[cell.kind]) for cell in found.cells]
        jobs, lost = comparing.jobs(facts, costs)
        if options.dry_run:
            return Report(*listing(facts, jobs, lost, store, engine, found.hypotheses))
        top, plans = head(comparing), store.path / PLAN
        waiting = [row_of(None, fact, status=WAITING) for fact in facts]
        write_whole(plans, json.dumps({**top, "cells": waiting}))
        try:
            with Progress(sys.stderr) as progress:
                tally = run_all(jobs, store, engine, progress.show)
        except KeyboardInterrupt:
            log.info("interrupted; the same command continues")
            raise
    lost |= tally.failed
    rows = [row_of(store.result(f["id"]), f, lost.get(f["id"], "")) for f in facts]
    record = assemble(top, rows, [store.path])
    text = write_all(record, store.path)
    plans.unlink(missing_ok=True)
    if options.mirror and given.get("logger") != ["none"]:
        with messages():
            mirror(record, store.path)
    return Report(record, text, FAILED if lost else 0)


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


def head(comparing: Comparing) -> Row:
    """What the record of a comparison begins with."""
    options, found = comparing.options, comparing.plan
    declared = {
        "arms": {arm.name: values_of(arm, options) for arm in found.arms},
        "baselines": found.baselines,
        "places": [place.title() for place in found.places],
        "pairs": found.pairs,
        "effects": options.effects,
        "references": options.references,
        "published": options.published,
        "null": options.null,
    }
    words = quoted(["python", "-m", "zoo", "compare", *comparing.words])
    return {"schema": SCHEMA, "name": comparing.name, "command": words, "declared": declared}
