"""The verb `compare` with `dry_run=true`: what it would run, for how long, and what that shows."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.signs import TESTS
from zoo.compare.analysis.verdict import CLAIM, EXPLORING, needed
from zoo.compare.design.plan import Plan
from zoo.compare.design.waves import power_words
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.progress import duration
from zoo.compare.execution.schedule import Tally
from zoo.report import Report


def listing(plan: Plan, test: str, runs: Sequence[Run], tally: Tally, engine: Engine) -> Report:
    """A list of the runs with the estimated time of each, and the power of the whole.

    Args:
        plan: of the comparison.
        test: of its pairs, a key of `TESTS`.
        runs: of the comparison.
        tally: of them.
        engine: that would run those that are missing.
    """
    lines = []
    estimates = {job.cell: job.estimate for job in tally.left}
    for run in runs:
        state = about(estimates[run.id]) if run.id in estimates else "done"
        state = tally.failed.get(run.id, state)
        lines.append(f"{run.place:<24} {run.arm:<16} pair {run.pair:<4} {state}")
    seconds, first = (
        total([estimates[run.id] for run in runs if run.pair in pairs and run.id in estimates])
        for pairs in (plan.pairs, plan.pairs[:CLAIM])
    )
    sooner = ""
    if seconds and first and first < seconds:
        sooner = f" ({duration(first / engine.free)} up to pair {CLAIM})"
    most = "at most " if test == "auto" else ""
    time = about(None if seconds is None else seconds / engine.free)
    workers = "1 worker" if engine.free == 1 else f"{engine.free} workers"
    lines.append(f"{most}{len(runs)} runs, {time}{sooner} on {workers} for training alone")
    least = needed(plan.hypotheses, TESTS[test])
    verdicts = f"a verdict of the deepest places needs {least} pairs"
    if shallower := len(plan.places) * len(plan.baselines) - plan.hypotheses:
        verdicts += f", one of the others {needed(shallower, TESTS[test], EXPLORING)}"
    lines.append(verdicts)
    lines.append(power_words(len(plan.pairs), plan.hypotheses, test))
    record = {"cells": [run.planned() for run in runs], "seconds": seconds}
    return Report(record, "\n".join(lines))


def total(estimates: Sequence[float | None]) -> float | None:
    """The sum of some estimates; None where one of them is not known."""
    known = [seconds for seconds in estimates if seconds is not None]
    return sum(known) if len(known) == len(estimates) else None


def about(seconds: float | None) -> str:
    """An estimate in words; None is not known."""
    return "time not known" if seconds is None else f"about {duration(seconds)}"
