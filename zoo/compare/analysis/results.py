"""What a comparison takes from the results of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from zoo.compare.analysis.runs import Event, Number, Run
from zoo.compare.typed import typed
from zoo.errors import DataError
from zoo.run_folder import AT_BEST, ENDED, RunFolder


class Primary(TypedDict):
    """The primary metric of a run and its value at the last step."""

    name: str
    value: Number | None
    higher_is_better: bool


@dataclass(kw_only=True)
class Result:
    """The part of `result.json` that a comparison reads; fields are named as its keys.

    What a program that is not ours does not tell is None.
    """

    status: Literal["done", "diverged"]
    primary: Primary
    metrics: dict[str, Number | None]
    chance: dict[str, Number | None]
    examples: dict[str, int]
    seconds: Number
    versions: dict[str, Any]
    machine: dict[str, Any]
    parameters: int | None = None
    steps: int | None = None
    seconds_per_step: Number | None = None
    peak_memory_bytes: Number | None = None
    together: int = 1
    reason: str = ""
    events: list[Event] = field(default_factory=list)
    lost_steps: int = 0
    branch_digest: str | None = None
    start_digest: str | None = None
    order_digest: str | None = None
    data_digest: str | None = None


KEYS = {key.name for key in fields(Result)}
SHARED = KEYS.intersection(key.name for key in fields(Run)) - {"chance", "examples"}


def result_of(id: str, folders: Sequence[Path]) -> Result | None:
    """The result of a run from the first comparison's folder that has one.

    Args:
        id: address of the run.
        folders: of comparisons.

    Errors:
        DataError: a value in it is missing or has a wrong type.
    """
    for folder in (RunFolder(folder / "cells" / id) for folder in folders):
        row = folder.result()
        if row.get("status") in ENDED:
            try:
                return typed(Result, {key: row[key] for key in row if key in KEYS})
            except ValueError as error:
                fix = "remove the folder of this run; the comparison's command runs it again"
                raise DataError(f"the result {error}", str(folder.path), fix) from None
    return None


def with_result(run: Run, result: Result) -> Run:
    """A run completed by its result; it scores chance where it diverged or ended below that."""
    name, diverged = result.primary["name"], result.status == "diverged"
    chance, higher = result.chance.get(name), result.primary["higher_is_better"]
    training = name.replace("test/", "train/", 1) if name.startswith("test/") else ""

    def scored(value: Number | None) -> Number | None:
        if chance is None or value is None:
            return chance if diverged else value
        return chance if diverged else (max if higher else min)(value, chance)

    return replace(
        run,
        **{key: getattr(result, key) for key in SHARED},
        metric=name,
        higher_is_better=higher,
        value=scored(result.primary["value"]),
        train=None if diverged else result.metrics.get(training),
        best=scored(result.metrics.get(f"{name}{AT_BEST}")),
        chance=chance,
        examples=result.examples.get("test"),
        spikes=sum(event["kind"] == "spike" for event in result.events),
    )
