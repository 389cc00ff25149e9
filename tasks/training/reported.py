"""What a run or a comparison reports of a task beside its metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tasks.training.outcomes import Outcomes
from zoo.probes.profiles import effective_rank
from zoo.probes.stream.collapse import members
from zoo.seeding import generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POSITIONS = 1024  # of a value whose effective rank is measured


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

    def collapse_measure(self, batch: Any) -> tuple[str, Callable[[Tensor], Tensor]]:
        """Gives the name and the measure `[]` of how alike a value of the stream has become.

        Args:
            batch: of `train_loader`, from which that value comes.
        """
        return "rank_share", rank_share

    def final_metrics(self) -> dict[str, float]:
        """Gives metrics of the finished run that belong to no part of the data, `group/name`."""
        return {}

    def draws_progress(self, step: int) -> bool:
        """Says whether `progress_figures` draws some after the validation of a step.

        A task that has that method draws after each one, unless this says otherwise.
        """
        return type(self).progress_figures is not Reported.progress_figures

    def progress_figures(self, step: int) -> dict[str, Figure]:
        """Draws figures on the way, after the validations that `draws_progress` names."""
        return {}

    def figures(self, title: str) -> dict[str, Figure]:
        """Draws the data and what the model makes of it."""
        return {}


def rank_share(value: Tensor) -> Tensor:
    """The effective rank of some positions over the number of channels: 1 where all are used.

    Args:
        value: `[N, C]`, `[B, T, C]` or `[B, C, H, W]`, of which at most 1,024 positions count.
    """
    rows = members(value).flatten(0, 1)
    if len(rows) > POSITIONS:
        chosen = torch.randperm(len(rows), generator=generator(0, "positions"))[:POSITIONS]
        rows = rows[chosen.to(rows.device)]
    return effective_rank(rows) / rows.shape[1]
