"""Warnings where the comparison of two arms is not fair."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.summaries import ArmSummary

COUNTED, MEASURED = 0.02, 0.1  # relative differences that are worth a warning


def fairness_warnings(runs: Sequence[Run], first: ArmSummary, second: ArmSummary) -> list[str]:
    """Words where two arms differ in budget or size by 2 %, in time by 10 %, or in their start.

    Times are compared where runs trained together in the same numbers, since each is a share.

    Args:
        runs: of all arms at a place.
        first: summary of one arm there.
        second: summary of the arm that it is compared with.
    """
    first_steps, second_steps = (steps_of(runs, arm.arm) for arm in (first, second))
    sizes = {
        "steps": (first_steps, second_steps, COUNTED),
        "parameters": (first.parameters, second.parameters, COUNTED),
        "FLOPs": (first.flops, second.flops, COUNTED),
    }
    if times_compare(runs, first.arm, second.arm):
        sizes["time a step"] = (first.seconds_per_step, second.seconds_per_step, MEASURED)
    warnings = [
        f"{a / b:.2f} times the {name}"
        for name, (a, b, most) in sizes.items()
        if a and b and abs(a - b) > most * b
    ]
    pairing = Pairing.of(runs, first.arm, second.arm)
    ids = ({run.id for run in arm.values()} for arm in (pairing.ours, pairing.theirs))
    if set.intersection(*ids):
        warnings.append("the same runs")
    if pairing.differ("branch_digest") or pairing.differ("start_digest"):
        warnings.append("different branches at the start")
    return warnings


def steps_of(runs: Sequence[Run], arm: str) -> float | None:
    """The mean number of steps of the runs of an arm that trained to their end."""
    steps = [run.steps for run in runs if run.arm == arm and run.status == "done" and run.steps]
    return sum(steps) / len(steps) if steps else None


def times_compare(runs: Sequence[Run], first: str, second: str) -> bool:
    """Whether the runs of two arms that have ended trained together in the same numbers."""
    ours, theirs = (
        sorted(run.together for run in runs if run.arm == arm and run.ended)
        for arm in (first, second)
    )
    return ours == theirs or {*ours, *theirs} == {1}
