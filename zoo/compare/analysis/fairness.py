"""Warnings where the comparison of two arms is not fair."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.summaries import ArmSummary

MATCHED = 0.02  # relative difference of parameters or FLOPs that is worth a warning


def fairness_warnings(runs: Sequence[Run], first: ArmSummary, second: ArmSummary) -> list[str]:
    """Sentences where two arms differ by more than 2 % in size, start differently or are the same.

    Args:
        runs: of all arms at a place.
        first: summary of one arm there.
        second: summary of the other arm there.
    """
    warnings = []
    sizes = {
        "parameters": (first.parameters, second.parameters),
        "FLOPs a step": (first.flops, second.flops),
    }
    for name, (a, b) in sizes.items():
        if a and b and abs(a - b) > MATCHED * b:
            ratio = f"{a / b:.3f} times the {name} of {second.arm}"
            warnings.append(f"{first.arm} has {ratio}")
    names = f"{first.arm} and {second.arm}"
    pairing = Pairing.of(runs, first.arm, second.arm)
    ids = ({run.id for run in arm.values()} for arm in (pairing.ours, pairing.theirs))
    if set.intersection(*ids):
        warnings.append(f"{names} are the same runs")
    if pairing.differ("branch_digest") or pairing.differ("start_digest"):
        warnings.append(f"{names} start from different branches")
    return warnings
