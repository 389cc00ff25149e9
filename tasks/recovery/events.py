"""The unusual losses of a run: those far above the others and those that are not finite."""

from __future__ import annotations

import logging
import math
import statistics
from collections import deque
from typing import Any

log = logging.getLogger("zoo")
WINDOW = 100  # losses whose median is the usual one
FEWEST = 10  # of them, before any loss is a spike
SPIKE = 10.0  # times the median
SHOWN = 100  # events that a result lists


class LossEvents:
    """Collects the unusual losses of a run for its result, and the last ones to compare with.

    Attributes:
        events: in the order of steps: `step`, `kind` (spike, skip, rollback), `value` of the loss,
            null if it is lost, and what else is known of it.
        usual: the last finite losses.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.usual: deque[float] = deque(maxlen=WINDOW)

    def compare(self, step: int, loss: float) -> None:
        """Records a finite loss, as a spike where it is far above those before it."""
        if len(self.usual) >= FEWEST:
            median = statistics.median(self.usual)
            if loss > SPIKE * median > 0:
                self.add(step, "spike", loss, median=median)
                log.warning("train/loss %.4g at step %d, usual are %.4g", loss, step, median)
        self.usual.append(loss)

    def add(self, step: int, kind: str, loss: float, **more: Any) -> None:
        """Lists an event, as long as there are few."""
        value = loss if math.isfinite(loss) else None
        if len(self.events) < SHOWN:
            self.events.append({"step": step, "kind": kind, "value": value, **more})
