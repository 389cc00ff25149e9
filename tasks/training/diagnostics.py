"""What looks at a net while it trains; by default nothing does."""

from __future__ import annotations

from typing import Any

from tasks.fast_callback import FastCallback
from tasks.training.loggers import NoLogger
from zoo.run_folder import RunFolder


class NoDiagnostics(FastCallback):
    """Looks at nothing."""

    def begin(self, folder: RunFolder | None, logger: NoLogger, every: int, figures: bool) -> None:
        """Begins a run.

        Args:
            folder: of the run; None in all but the first process.
            logger: receives alerts and figures as well.
            every: steps between two moments at which several processes agree.
            figures: whether some are drawn.
        """

    def record(self) -> dict[str, Any]:
        """What the result says of it."""
        return {}
