"""What in a pass comes behind layers, and what comes before them."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.diagnosis.examination import Examination
from zoo.probes.watch.calls import Call


def behind_layers(calls: Sequence[Call]) -> set[int]:
    """Numbers of the calls with weights, and of those whose result is computed of theirs."""
    behind: set[int] = set()
    for call in calls:
        if call.weighted or behind.intersection(call.inputs):
            behind.add(call.number)
    return behind


def before_layers(calls: Sequence[Call]) -> set[int]:
    """Numbers of the calls of whose result a call with weights is computed."""
    before: set[int] = set()
    for call in reversed(calls):
        if call.weighted or call.number in before:
            before.update(call.inputs)
    return before


def last_call(seen: Examination, parameter: str) -> int:
    """The number of the last call with weights in the module of a parameter; -1 without any."""
    module = parameter.rpartition(".")[0]
    calls = (call for call in seen.calls if call.module == module)
    return max((call.number for call in calls if call.weighted and call.inputs), default=-1)
