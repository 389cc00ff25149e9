"""Steps of the optimiser that are too large or too small for the weights."""

from __future__ import annotations

import copy
import inspect
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
    """A step that changes matrices by next to nothing, at the rate from which a schedule falls."""
    ratio = update_ratio(seen, "initial_lr")
    if ratio is not None and ratio < SMALL:
        said = f"a step changes the matrices by {ratio:.2g} of their size"
        yield Finding("step_too_small", "", ratio, SMALL, said, "a larger rate")


def update_ratio(seen: Examination, rate: str = "lr") -> float | None:
    """The median over matrices of the size of the optimiser's next step over their own size.

    The step is taken by a copy of the weights and of the optimiser. None without an optimiser, and
    for one that computes the loss again.

    Args:
        seen: of the net.
        rate: option of the optimiser's groups that has the learning rate, where they have it.
    """
    optimizer = seen.optimizer
    if optimizer is None or needs_closure(optimizer):
        return None
    before = dict(seen.module.named_parameters())
    after = {name: nn.Parameter(p.detach().clone()) for name, p in before.items()}
    copied = copy.deepcopy(optimizer, {id(p): after[name] for name, p in before.items()})
    for group in copied.param_groups:
        group["lr"] = group.get(rate, group["lr"])
    for name, p in after.items():
        p.grad = seen.gradients[name].clone() if name in seen.gradients else None
    if seen.clip:
        nn.utils.clip_grad_norm_(after.values(), seen.clip)
    copied.step()
    ratios = [
        (after[name] - p).detach().norm() / p.detach().norm()
        for name, p in before.items()
        if p.ndim > 1 and name in seen.gradients and p.detach().norm() > 0
    ]
    return float(torch.stack(ratios).median()) if ratios else None


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step computes the loss again, as that of L-BFGS does."""
    _, *parameters = inspect.signature(type(optimizer).step).parameters.values()
    return any(p.name == "closure" and p.default is p.empty for p in parameters)
