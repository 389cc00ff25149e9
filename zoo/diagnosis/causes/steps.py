"""Steps of the optimiser that are too large or too small for the weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding

LARGE, SMALL = 0.1, 1e-7  # of the update's size over the weights', median of a group's matrices


def step_too_large(seen: Examination) -> Iterator[Finding]:
    """A step that changes matrices by a tenth of their size, or more."""
    ratio = update_ratio(seen)
    if ratio is not None and ratio > LARGE:
        said = f"a step changes the matrices by {100 * ratio:.3g} % of their size"
        yield Finding("step_too_large", "", ratio, LARGE, said, "a smaller rate, or warm-up")


def step_too_small(seen: Examination) -> Iterator[Finding]:
    """A step that changes matrices by next to nothing."""
    ratio = update_ratio(seen)
    if ratio is not None and ratio < SMALL:
        said = f"a step changes the matrices by {ratio:.2g} of their size"
        yield Finding("step_too_small", "", ratio, SMALL, said, "a larger rate")


def update_ratio(seen: Examination) -> float | None:
    """The size of the optimiser's next step over that of the weights.

    It is the median over the matrices of a group of parameters that have a gradient, of the group
    where it is largest. The step is taken by a copy of the weights and of the optimiser. None
    without an optimiser.
    """
    if seen.optimizer is None:
        return None
    before = dict(seen.module.named_parameters())
    after = {name: nn.Parameter(p.detach().clone()) for name, p in before.items()}
    memo = {id(p): after[name] for name, p in before.items()}
    optimizer = copy.deepcopy(seen.optimizer, memo)
    for name, p in after.items():
        p.grad = seen.gradients[name].clone() if name in seen.gradients else None
    optimizer.step()
    ratios = {
        id(after[name]): (after[name] - p).detach().norm() / usual_size(p)
        for name, p in before.items()
        if p.ndim > 1 and name in seen.gradients and seen.gradients[name].any()
    }
    groups = [
        [ratios[id(p)] for p in group["params"] if id(p) in ratios]
        for group in optimizer.param_groups
    ]
    medians = [float(torch.stack(group).median()) for group in groups if group]
    return max(medians, default=None)


def usual_size(p: Tensor) -> Tensor:
    """The norm of a matrix; of one that is zero, that of a random start."""
    norm = p.detach().norm()
    return norm if norm > 0 else norm.new_tensor(len(p)).sqrt()
