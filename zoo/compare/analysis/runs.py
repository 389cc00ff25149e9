"""A run of a comparison as its record has it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # Pydantic wants it before Python 3.12
)

from annotated_types import Predicate
from typing_extensions import TypedDict

from zoo.run_folder import ENDED

Status = Literal["waiting", "failed", "done", "diverged"]
WAITING: Status = "waiting"  # of a run that has not run yet
Number = int | float  # keeps whether it was written as an integer


def number_or_text(value: Any) -> bool:
    """Whether JSON gave a number, a text, or nothing, as where there is no axis of depths."""
    return value is None or isinstance(value, (int, float, str))


JsonDepth = Annotated[Any, Predicate(number_or_text)]


class Event(TypedDict):
    """A loss out of the usual, or a lost step.

    Args:
        step: at which it happened.
        kind: `spike`, a loss far above the usual ones; `skip`, a step that was left out;
            `rollback`, a step that sent the run back to its last checkpoint.
        value: of the training loss; None where it was not finite.
        median: of the losses before a spike.
        to: step of the checkpoint.
        batches: the first and the last one that were left out after a rollback.
    """

    step: int
    kind: Literal["spike", "skip", "rollback"]
    value: Number | None
    median: NotRequired[Number]
    to: NotRequired[int]
    batches: NotRequired[list[int]]


@dataclass(kw_only=True)
class Run:
    """One run; what only its result tells is None until the run has ended.

    Args:
        place: title of the place where arms meet.
        task: name of its task.
        family: title of the place without the depth.
        depth: of the net, a number except where the option takes something else.
        settings: values that make the place.
        arm: name of its arm.
        pair: number of its pair.
        seed: of all random draws.
        id: address of its result, the name of its folder.
        recipe: digest of all its settings but depth and seed; None in older records.
        flops: floating-point operations of a training step.
        command: command line that repeats it.
        status: `waiting`, `failed`, `done` or `diverged`.
        metric: name of the primary metric.
        higher_is_better: whether a larger value of that metric is better.
        value: of the primary metric at the last step; chance where the run diverged.
        train: the same on the training part.
        best: the same at the step of lowest validation loss.
        chance: value of the primary metric that guessing reaches.
        examples: number of them in the test part.
        reason: why it failed or diverged.
        events: losses out of the usual, and lost steps.
        spikes: number of losses out of the usual.
        lost_steps: number of lost steps.
        parameters: of the net.
        steps: of training.
        seconds: of training and evaluation.
        seconds_per_step: of training.
        peak_memory_bytes: of the device, or of the process.
        together: number of runs that trained together, this one among them; its times are a share.
        branch_digest: of the branches as they were drawn.
        start_digest: of the branches as training began.
        order_digest: of its batches.
        data_digest: of its data.
    """

    place: str
    task: str
    family: str
    depth: JsonDepth
    settings: dict[str, Any]
    arm: str
    pair: int
    seed: int
    id: str
    recipe: str | None = None
    flops: Number | None = None
    command: str
    status: Status = WAITING
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
    together: int = 1
    branch_digest: str | None = None
    start_digest: str | None = None
    order_digest: str | None = None
    data_digest: str | None = None

    @property
    def untrained(self) -> bool:
        """Whether it failed to train: it diverged, or ended no better than chance."""
        if self.status == "diverged":
            return True
        return self.ended and self.chance is not None and self.value == self.chance

    @property
    def above_chance(self) -> float | None:
        """Its value less the chance of its own data; None where one of them is not known."""
        return None if self.value is None or self.chance is None else self.value - self.chance

    @property
    def ended(self) -> bool:
        """Whether it came to an end that is a result: done or diverged."""
        return self.status in ENDED

    def planned(self) -> dict[str, Any]:
        """The values that are known before it runs."""
        return {key: getattr(self, key) for key in PLANNED}

    def plain(self) -> dict[str, Any]:
        """The run as JSON; without a result, the keys that only a result fills are left out."""
        if not self.ended:
            return {**self.planned(), "status": self.status, "reason": self.reason}
        return asdict(self)


NAMES = [field.name for field in fields(Run)]
PLANNED = NAMES[: NAMES.index("status")]
