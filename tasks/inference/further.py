"""Measures of a net that need many passes: the gradient's ways, and the loss without branches."""

from __future__ import annotations

import math
import time
from typing import Any

from torch import Tensor

from tasks.training.module import Task
from tasks.training.progress import Progress
from zoo.compare.execution.progress import duration
from zoo.diagnosis.profiles import Profile, of_lesions, of_paths
from zoo.probes.stream.lesion import lesions, writes_of
from zoo.probes.stream.paths import gradient_paths
from zoo.probes.watch.untouched import Loss
from zoo.system.console import say

DRAWS = 2  # ways of each length
PATIENCE = 30.0  # seconds that nobody has asked for
BACKWARD = 3  # times a pass without a gradient


class Further:
    """Takes the measures of a net that need many passes, with a bar.

    Args:
        task: the net.
        batch: of its training data.
        loss: of both.
        patience: seconds that they may take; None: `PATIENCE`.
    """

    def __init__(self, task: Task, batch: Any, loss: Loss, patience: float | None):
        self.task, self.batch, self.loss = task, batch, loss
        self.patience = PATIENCE if patience is None else patience
        self.passes = 0

    def profiles(self, trained: bool) -> dict[str, Profile]:
        """The measures, or none where they would take too long, which is said.

        Args:
            trained: whether the net was trained, so that it can miss a branch.
        """
        began = time.monotonic()
        count = len(writes_of(self.task, self.batch, self.loss))
        seconds = time.monotonic() - began
        if not count:
            return {}
        without = count + 2 if trained else 0
        ways = 1 + sum(min(DRAWS, math.comb(count, k)) for k in range(count + 1))
        estimate = seconds * (without + BACKWARD * ways)
        if estimate > self.patience:
            what = "the gradient's ways" + " and the loss without each branch" * trained
            say(f"{what} would take about {duration(estimate)}: add full=true")
            return {}
        self.bar = Progress(without + ways, unit="pass")
        try:
            made = self.ways()
            return made | self.without() if trained else made
        finally:
            self.bar.close()

    def counted(self, module: Any, batch: Any) -> Tensor:
        """The loss, and one more pass on the bar."""
        self.passes += 1
        self.bar.update(self.passes, {})
        return self.loss(module, batch)

    def ways(self) -> dict[str, Profile]:
        """The gradient by the number of branches it passes; nothing where there is none."""
        paths = gradient_paths(self.task, self.batch, self.counted, draws=DRAWS)
        return {"ways": of_paths(paths)} if paths.gradient.sum() > 0 else {}

    def without(self) -> dict[str, Profile]:
        """The loss without each branch, in evaluation.

        Of a rule whose next state needs what the branch gave, zeros are written instead.
        """
        self.task.eval()
        try:
            lost = lesions(self.task, self.batch, self.counted)
        except ValueError:
            lost = lesions(self.task, self.batch, self.counted, how="zero")
        return {"without": of_lesions(lost)}
