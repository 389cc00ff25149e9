"""What a run or a comparison reports of a task beside its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.training.outcomes import Outcomes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Reported:
    """Outcomes, profiles, figures and further metrics; none but for what a subclass gives."""

    def outcomes(self, batch: Any) -> Outcomes | None:
        """Gives what each example of a batch adds to the primary metric.

        None where the metric is no ratio of sums over examples; a comparison then knows its gap
        for these test examples alone.
        """
        return None

    def chance_metrics(self) -> dict[str, float]:
        """Gives the metrics in validation and test of the best answer that ignores the input."""
        return {}

    def depth_profiles(self) -> dict[str, list[float]]:
        """Shows the stream by depth: values before the first and after every branch."""
        return {}

    def final_metrics(self) -> dict[str, float]:
        """Gives metrics of the finished run that belong to no part of the data, `group/name`."""
        return {}

    def progress_figures(self, step: int) -> dict[str, Figure]:
        """Draws figures on the way, after every validation."""
        return {}

    def figures(self, title: str) -> dict[str, Figure]:
        """Draws the data and what the model makes of it."""
        return {}
