"""Warnings where two arms are not matched."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.record import Arm
from zoo.compare.analysis.runs import Run

MATCHED = 0.02  # relative difference of parameters or FLOPs that is worth a warning


def unmatched(runs: Sequence[Run], first: Arm, second: Arm) -> list[str]:
    """Where two arms differ in size by more than 2 %, in their start, or not at all.

    Args:
        runs: of all arms at a place.
        first: summary of one arm.
        second: of the other one.
    """
    found = []
    sizes = {
        "parameters": (first.parameters, second.parameters),
        "FLOPs a step": (first.flops, second.flops),
    }
    for name, (a, b) in sizes.items():
        if a and b and abs(a - b) > MATCHED * b:
            ratio = f"{a / b:.3f} times the {name} of {second.arm}"
            found.append(f"{first.arm} has {ratio}")
    names = f"{first.arm} and {second.arm}"
    pairing = Pairing.of(runs, first.arm, second.arm)
    ids = ({run.id for run in arm.values()} for arm in (pairing.ours, pairing.theirs))
    if set.intersection(*ids):
        found.append(f"{names} are the same runs")
    if pairing.apart("branch_digest") or pairing.apart("start_digest"):
        found.append(f"{names} start from different branches")
    return found
