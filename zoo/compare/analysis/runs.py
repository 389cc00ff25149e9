"""A run of a comparison as its record has it, and what reads it back from JSON."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.run_folder import ENDED

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
WAITING = "waiting"  # status of a run that has not run yet
Number = int | float  # as it was written
Event = dict[str, Any]  # as runs write it: step, kind, value, and what it was told from


@dataclass(kw_only=True)
class Run:
    """One run; what only its result knows is None until it ended.

    Args:
        place: title of the place at which arms meet.
        task: its name.
        family: of places that differ in depth alone.
        depth: a number where it is one.
        settings: that the place makes.
        arm: its name.
        pair: that it belongs to.
        seed: of all draws.
        id: its address, the name of its folder.
        recipe: key of its settings beside the depth.
        flops: of a step.
        command: that repeats it.
        status: `waiting`, `failed`, `done` or `diverged`.
        metric: name of the primary one.
        higher_is_better: whether a larger value of it is.
        value: of the primary metric at the last step; chance where the run diverged.
        train: the same on the training part.
        best: the same at the step of lowest validation loss.
        chance: what guessing reaches.
        examples: of the test part.
        reason: why it has no value of its own.
        events: losses out of the usual, and steps that were lost.
        spikes: the number of the former.
        lost_steps: the number of the latter.
        parameters: of the net.
        steps: that it trained.
        seconds: that it took.
        seconds_per_step: of training.
        peak_memory_bytes: of the device, or of the process.
        branch_digest: of the branches as they were drawn.
        start_digest: of the branches as training began.
        order_digest: of its batches.
        data_digest: of its data.
    """

    place: str
    task: str
    family: str
    depth: Any
    settings: dict[str, Any]
    arm: str
    pair: int
    seed: int
    id: str
    recipe: str | None = None
    flops: Number | None = None
    command: str
    status: str = WAITING
    metric: str | None = None
    higher_is_better: bool | None = None
    value: Number | None = None
    train: Number | None = None
    best: Number | None = None
    chance: Number | None = None
    examples: int | None = None
    reason: str = ""
    events: list[Event] = field(default_factory=list)
    spikes: int = 0
    lost_steps: int = 0
    parameters: Number | None = None
    steps: int | None = None
    seconds: Number | None = None
    seconds_per_step: Number | None = None
    peak_memory_bytes: Number | None = None
    branch_digest: str | None = None
    start_digest: str | None = None
    order_digest: str | None = None
    data_digest: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it has a result."""
        return self.status in ENDED

    def facts(self) -> dict[str, Any]:
        """What is known before it runs."""
        return {key: getattr(self, key) for key in FACTS}

    def plain(self) -> dict[str, Any]:
        """As JSON has it: without a result, what only that knows is left out."""
        if not self.ended:
            return {**self.facts(), "status": self.status, "reason": self.reason}
        return asdict(self)


FACTS = [f.name for f in fields(Run)][: [f.name for f in fields(Run)].index("status")]


def read(kind: type[T], row: Any) -> T:
    """What was written of a `Run` or of what is `Declared`.

    Errors:
        ValueError: a value is missing or unknown.
    """
    names = {f.name for f in fields(kind)}
    free = {f.name for f in fields(kind) if (f.default, f.default_factory) != (MISSING, MISSING)}
    if not isinstance(row, dict):
        raise ValueError(f"is no object but {str(row)[:80]!r}")
    for what, keys in (("has no", names - free - row.keys()), ("has unknown", row.keys() - names)):
        if keys:
            raise ValueError(f"{what} {', '.join(sorted(keys))}")
    return kind(**row)
