"""Steps of the optimiser that are too large or too small for the weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding

LARGE, SMALL = 0.1, 1e-7  # median over matrices of the update's size over the weights'


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
    """The median over matrices of the size of the optimiser's next step over their own size.

    The step is taken by a copy of the weights and of the optimiser. None without an optimiser.
    """
    if seen.optimizer is None:
        return None
    before = dict(seen.module.named_parameters())
    after = {name: nn.Parameter(p.detach().clone()) for name, p in before.items()}
    memo = {id(p): after[name] for name, p in before.items()}
    optimizer = copy.deepcopy(seen.optimizer, memo)
    for name, p in after.items():
        p.grad = seen.gradients[name].clone() if name in seen.gradients else None
    if seen.clip:
        nn.utils.clip_grad_norm_(after.values(), seen.clip)
    optimizer.step()
    ratios = [
        (after[name] - p).detach().norm() / p.detach().norm()
        for name, p in before.items()
        if p.ndim > 1 and name in seen.gradients and p.detach().norm() > 0
    ]
    return float(torch.stack(ratios).median()) if ratios else None
