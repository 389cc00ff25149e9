"""Fair tuning: the runs that search each arm's best values, on validation and seeds of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.tuned import Search, Tuning
from zoo.compare.analysis.validation import validation_of
from zoo.compare.design.axes import Place
from zoo.compare.design.cell import Cell
from zoo.compare.design.plan import Plan
from zoo.compare.design.tuning import FACTORS, MOST, changed, models
from zoo.compare.execution.costs import Cost, measure_costs, why_alone
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.hunt import Hunt
from zoo.compare.execution.job import Job
from zoo.compare.execution.progress import Progress, duration
from zoo.compare.execution.schedule import Tally, run_all
from zoo.compare.execution.store import Store

log = logging.getLogger("zoo")


@dataclass
class Tuned:
    """What came of tuning.

    Args:
        plan: every pair at each arm's own best values, and every pair at the configured ones.
        options: that are tuned.
        seeds: of the tuning runs.
        searches: that chose the best values.
        trials: every run of the searches, with what it costs; None where that is not known.
        failed: for each of them that failed the reason, by its address.
    """

    plan: Plan
    options: Sequence[str] = ()
    seeds: list[int] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    trials: list[tuple[Cell, Cost | None]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def split(self, runs: Sequence[Run], trials: Sequence[Run]) -> tuple[list[Run], Tuning | None]:
        """The runs that are compared, and what was tuned with the runs at the configured values.

        Args:
            runs: of the plan.
            trials: the runs of the searches; one that is in two of them is one.
        """
        if not self.searches:
            return list(runs), None
        recipes = {cell.recipe for cell in self.plan.cells if cell.tuned}
        configured = [run for run in runs if run.recipe not in recipes]
        compared = [run for run in runs if run.recipe in recipes]
        tried = [*{run.id: run for run in trials}.values()]
        return compared, Tuning(
            seeds=self.seeds, searches=self.searches, configured=configured, runs=tried
        )


def tune(
    plan: Plan,
    names: Sequence[str],
    seeds: list[int],
    store: Store,
    engine: Engine,
    together: int = 1,
) -> Tuned:
    """Searches the best values of some options for every arm at every place, on validation.

    Args:
        plan: at the configured values.
        names: of the options, tuned one after another.
        seeds: of the runs.
        store: that holds finished runs.
        engine: that runs the others.
        together: the most runs that train together, where they can.
    """
    tuned, cells = Tuned(plan, names, seeds), models(plan)
    for option in names:
        hunts = [Hunt(cell, option, cell.place.title() in plan.varied) for cell in cells]
        waiting = {place: set(FACTORS) for place in plan.places}
        while waiting:
            try_all(hunts, waiting, tuned, store, engine, together)
            wanted = {
                place: {f for h in hunts if h.cell.place == place for f in h.wanted()}
                for place in waiting
            }
            waiting = {place: factors for place, factors in wanted.items() if factors}
        tuned.searches += [hunt.search() for hunt in hunts]
        cells = [hunt.at(hunt.chosen, hunt.cell.config.seed) for hunt in hunts]
    chosen = {(cell.place, cell.arm): cell.tuned for cell in cells}
    best_cells = [changed(c, chosen[c.place, c.arm], c.config.seed) for c in plan.cells]
    tuned.plan = replace(plan, cells=[*best_cells, *plan.cells])
    return tuned


def try_all(
    hunts: Sequence[Hunt],
    waiting: Mapping[Place, Collection[float]],
    tuned: Tuned,
    store: Store,
    engine: Engine,
    together: int,
) -> None:
    """Runs some factors of every arm at some places.

    Args:
        hunts: of one option, which are changed.
        waiting: for each place the factors to try.
        tuned: which gets the runs.
        store: that holds finished runs.
        engine: that runs the others.
        together: the most of them that train together, where they can.
    """
    trials = [
        (hunt, factor, [hunt.at(factor, seed) for seed in tuned.seeds])
        for hunt in hunts
        for factor in sorted(waiting.get(hunt.cell.place, ()))
        if hunt.takes(factor)
    ]
    cells = [cell for *_, runs in trials for cell in runs]
    kinds = {cell.kind: cell for cell in cells}
    costs, unmeasured = measure_costs(kinds, engine, store.path / "costs.json", together)
    digests = {kind: costs[kind].data_digest if kind in costs else "" for kind in kinds}
    jobs = [
        Job(
            cell=cell.id(digests[cell.kind]),
            config=cell.config.plain(),
            kind=cell.kind,
            pair=cell.pair,
            estimate=costs[cell.kind].seconds,
            together=1 if why_alone(cell, costs[cell.kind]) else together,
        )
        for cell in cells
        if cell.kind in costs
    ]
    if missing := sum(not store.is_finished(job.cell) for job in jobs):
        log.info("tuning %s: %d runs", hunts[0].option, missing)
    tally = Tally.of(jobs, store)
    with Progress(sys.stderr) as progress:
        run_all(tally.left, tally, store, engine, progress.show)
    for hunt, factor, runs in trials:
        hunt.ids[factor] = [cell.id(digests[cell.kind]) for cell in runs]
        hunt.seen[factor] = [validation_of(id, [store.path]) for id in hunt.ids[factor]]
    failed = {
        c.id(digests[c.kind]): unmeasured[c.kind] for c in cells if c.kind in unmeasured
    } | tally.failed
    for cell in cells:
        if reason := failed.get(cell.id(digests[cell.kind])):
            values = ", ".join(f"{option}={value:g}" for option, value in cell.tuned.items())
            run = f"{cell.place.title()}, {cell.arm}, {values}, seed {cell.pair}"
            log.info("tuning run %s failed: %s", run, reason)
    tuned.failed |= failed
    tuned.trials += [(cell, costs.get(cell.kind)) for cell in cells]


def announcement(plan: Plan, names: Sequence[str], seeds: int, seconds: float) -> str:
    """A sentence on the runs that tuning adds to those of a plan; empty without tuning.

    Args:
        plan: at the configured values.
        names: of the options that are tuned.
        seeds: number of them.
        seconds: that all runs of the plan take on all workers.
    """
    if not names:
        return ""
    searches = seeds * len(names) * len(plan.places) * len(plan.arms)
    least, most = searches * len(FACTORS), searches * MOST
    each = seconds / len(plan.cells)
    first, last = (duration(each * (len(plan.cells) + count)) for count in (least, most))
    return (
        f"tuning {' and '.join(names)} adds {least} to {most} runs, and the tuned values run every "
        f"pair again: about {first} to {last} more"
    )
