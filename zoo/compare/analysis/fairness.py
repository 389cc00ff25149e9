"""Warnings where the comparison of two arms is not fair."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.summaries import ArmSummary

COUNTED, MEASURED = 0.02, 0.1  # relative differences that are worth a warning


def fairness_warnings(runs: Sequence[Run], first: ArmSummary, second: ArmSummary) -> list[str]:
    """Words where two arms differ in size by more than 2 %, in time by 10 %, or in their start.

    Args:
        runs: of all arms at a place.
        first: summary of one arm there.
        second: summary of the arm that it is compared with.
    """
    sizes = {
        "parameters": (first.parameters, second.parameters, COUNTED),
        "FLOPs": (first.flops, second.flops, COUNTED),
        "time a step": (first.seconds_per_step, second.seconds_per_step, MEASURED),
    }
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
