"""The learning rate in the course of a run: linear warm-up, then a schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Schedule = Literal["constant", "cosine", "linear"]
StepSchedule = Literal["constant", "cosine", "linear", "step"]


@dataclass(frozen=True)
class RateSchedule:
    """The share of the learning rate at each step of a run.

    Args:
        kind: how the rate falls after warm-up.
        steps: of the whole run.
        warmup: steps of warm-up that are asked for.
        lowest: the share at the end of a falling schedule.
        drops: shares of all steps at which the kind `step` multiplies the rate by `drop`.
        drop: that factor.
        start: the share that warm-up begins from.

    >>> [RateSchedule("linear", steps=6, warmup=2).factor(step) for step in (0, 1, 2, 4, 6)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """

    kind: StepSchedule
    steps: int
    warmup: int = 0
    lowest: float = 0.0
    drops: Sequence[float] = ()
    drop: float = 1.0
    start: float = 0.0

    @property
    def ramp(self) -> int:
        """The steps of warm-up: at most half of the run."""
        return min(self.warmup, self.steps // 2)

    def factor(self, step: int) -> float:
        """Returns the share of the learning rate at a step."""
        if step < self.ramp:
            return self.start + (1 - self.start) * (step + 1) / self.ramp
        done = min(1.0, (step - self.ramp) / max(1, self.steps - self.ramp))
        if self.kind == "step":
            return self.drop ** sum(step >= share * self.steps for share in self.drops)
        falling = {
            "constant": 1.0,
            "linear": 1 - done,
            "cosine": (1 + math.cos(math.pi * done)) / 2,
        }
        return self.lowest + (1 - self.lowest) * falling[self.kind]
