"""What each example adds to the primary metric, which tells how sure it is for other examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Outcomes:
    """Examples with the two numbers whose sums make the primary metric.

    The metric is the sum of `above` over all examples over that of `below`. Of several columns it
    is the mean of their ratios, without columns that no example has.

    Args:
        examples: `[n]` long, their numbers.
        above: `[n]` or `[n, K]`.
        below: of the same shape; None: 1 for each, so that the metric is the mean of `above`.
    """

    examples: Tensor
    above: Tensor
    below: Tensor | None = None

    def columns(self) -> tuple[Tensor, Tensor, Tensor]:
        """The examples `[n]`, and what is above and below, `[n, K]` double, on the CPU."""
        above = self.above.cpu().double().view(len(self.examples), -1)
        below = torch.ones_like(above) if self.below is None else self.below.cpu().double()
        return self.examples.cpu(), above, below.view_as(above)


def contributions(batches: Iterable[Outcomes]) -> tuple[Tensor, Tensor]:
    """What each example adds to the primary metric, which is their mean.

    Equation: z_i = m + N/K sum_k (a_ik - r_k b_ik) / B_k, with sums A_k and B_k, r_k = A_k / B_k,
        m = mean r_k; where every b is 1, z is a itself
    Source: Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6 (the
        infinitesimal jackknife)

    Args:
        batches: of all examples; an example that comes several times is one.

    Returns:
        The numbers of the examples `[N]` long, from the smallest on, and z `[N]` double.
    """
    numbers, *both = (
        torch.cat(column) for column in zip(*(b.columns() for b in batches), strict=True)
    )
    examples, index = numbers.unique(return_inverse=True)
    above, below = (
        torch.zeros(len(examples), each.shape[1], dtype=each.dtype).index_add_(0, index, each)
        for each in both
    )
    sums = below.sum(0)
    above, below, sums = above[:, sums > 0], below[:, sums > 0], sums[sums > 0]
    ratio = above.sum(0) / sums
    return examples, ratio.mean() + len(examples) * ((above - ratio * below) / sums).mean(1)
