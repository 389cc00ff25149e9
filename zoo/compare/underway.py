"""A comparison while it runs: its plan, its runs as records, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.compare.analysis.analyse import analysed
from zoo.compare.analysis.places import mean_of_known
from zoo.compare.analysis.record import Declared, Record
from zoo.compare.analysis.results import result_of, with_result
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.validation import with_validation
from zoo.compare.design.axes import Arm, Values
from zoo.compare.design.cell import Cell
from zoo.compare.design.command import Defaults
from zoo.compare.design.plan import Plan
from zoo.compare.design.settled import plan_of
from zoo.compare.design.spec import Comparison
from zoo.compare.execution.costs import Cost, measure_costs, why_alone
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.job import Job
from zoo.compare.execution.store import Store
from zoo.compare.execution.tuning_runs import Tuned
from zoo.config.options import as_word
from zoo.errors import quoted
from zoo.run_folder import SCHEMA

LONG = 300  # steps of a run of which probes take about 3 % at most


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
        defaults: of the choices of its runs.
    """

    name: str
    words: Sequence[str]
    options: Comparison
    tuned: Tuned
    store: Store
    engine: Engine
    defaults: Defaults = field(default_factory=Defaults)

    @property
    def plan(self) -> Plan:
        """All runs that are compared."""
        return self.tuned.plan

    def costs(self) -> tuple[dict[str, Cost], dict[str, str]]:
        """The cost of each kind of run, and for the kinds that have none the reason."""
        kinds = {cell.kind: cell for cell in self.plan.cells if cell.do == "cell"}
        return measure_costs(
            kinds, self.engine, self.store.path / "costs.json", self.options.together
        )

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
            command=cell.command_line(self.defaults),
        )

    def jobs(self, runs: Sequence[Run], costs: Mapping[str, Cost]) -> list[Job]:
        """The runs that can begin: those of kinds whose cost is known, and those of commands."""
        seconds = {kind: cost.seconds for kind, cost in costs.items()}
        usual = self.seconds_of_ended(runs) if self.plan.scripts else None
        alone = self.alone(costs)
        deepest, first = self.plan.deepest, self.plan.pairs[0]
        return [
            Job(
                cell=run.id,
                config=cell.config.plain(),
                kind=cell.kind,
                pair=run.pair,
                estimate=seconds.get(cell.kind, usual),
                do=cell.do,
                why=cell.place in deepest
                and cell.pair == first
                and cell.devices == 1
                and self.looks(costs.get(cell.kind)),
                together=1 if cell.kind in alone else self.options.together,
            )
            for run, cell in zip(runs, self.plan.cells, strict=True)
            if cell.do != "cell" or cell.kind in costs
        ]

    def alone(self, costs: Mapping[str, Cost]) -> dict[str, str]:
        """What trains alone although some are to train together, and why, by kind."""
        cells = {cell.kind: cell for cell in self.plan.cells if cell.kind in costs}
        reasons = {kind: why_alone(cell, costs[kind]) for kind, cell in cells.items()}
        return {
            kind: f"{cells[kind].place.title()}, {cells[kind].arm}: {reason}"
            for kind, reason in reasons.items()
            if reason and self.options.together > 1
        }

    def looks(self, cost: Cost | None) -> bool:
        """Whether the stream of a run with some cost is probed."""
        long = cost is not None and cost.steps >= LONG
        return long if self.options.why is None else self.options.why

    def seconds_of_ended(self, runs: Sequence[Run]) -> float | None:
        """The mean time of the runs that have ended; None before the first one has."""
        results = (result_of(run.id, [self.store.path]) for run in runs)
        return mean_of_known(result.seconds for result in results if result)

    def with_outcome(self, run: Run, reason: str) -> Run:
        """The record of a run with its result, as failed for a reason, or as it was."""
        if result := result_of(run.id, [self.store.path]):
            return with_result(run, result)
        return replace(run, status="failed", reason=reason) if reason else run

    def trial(self, cell: Cell, cost: Cost | None) -> Run:
        """The record of a run that tuning began; its settings have the values that it tried."""
        run = self.run(cell, cost)
        run = replace(run, settings=run.settings | cell.tuned)
        return with_validation(run, [self.store.path], self.tuned.failed.get(run.id, ""))

    @property
    def declared(self) -> Declared:
        """What the comparison declares."""
        options, plan = self.options, self.plan
        return Declared(
            arms={arm.name: values_of(arm, options) for arm in plan.arms},
            baselines=plan.baselines,
            places=[place.title() for place in plan.places],
            pairs=plan.pairs,
            effects=options.effects,
            references=options.references,
            published=options.published,
            null=options.noise,
            test="auto" if options.pairs == "auto" else "fixed",
            varied=plan.varied,
            resplit=plan.resplit,
            tuned=list(self.tuned.options),
            scripts=plan.scripts,
            fixed={key: as_word(value) for key, value in plan.fixed.items()},
        )

    @property
    def settled(self) -> dict[str, Any]:
        """What the plan of the comparison settles, as JSON has it."""
        return plan_of(self.plan, self.declared, self.options.tune_seeds)

    def record(
        self, runs: Sequence[Run], pairs: Sequence[int], failed: Mapping[str, str]
    ) -> Record:
        """The record of the comparison with what its runs show.

        Args:
            runs: of the comparison.
            pairs: that it has so far.
            failed: for each run that failed the reason, by its address.
        """
        ended = [self.with_outcome(r, failed.get(r.id, "")) for r in runs if r.pair in pairs]
        trials = [self.trial(cell, cost) for cell, cost in self.tuned.trials]
        compared, tuning = self.tuned.split(ended, trials)
        record = Record(
            schema=SCHEMA,
            name=self.name,
            command=quoted(["python", "-m", "zoo", "compare", *self.words]),
            declared=replace(self.declared, pairs=list(pairs)),
            cells=compared,
            tuning=tuning,
        )
        return analysed(record, [self.store.path])


def values_of(arm: Arm, options: Comparison) -> Values:
    """The options of an arm, those of its declaration included."""
    values = dict(arm.values)
    return {**options.arms.get(values.pop("arm", ""), {}), **values}
