"""Steps of the optimiser that are too large or too small for the weights."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding
from zoo.probes.pieces import together
from zoo.probes.stream.profile import norm
from zoo.probes.watch.untouched import cuda_devices

LARGE, SMALL = 0.1, 1e-7  # of the update's size over the weights', median of a group's matrices
PORTIONS = 16  # in which a step is taken


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
    """The size of the optimiser's next step over that of the weights.

    It is the median over the matrices of a group of parameters that have a gradient, of the group
    where it is largest. The step is taken by copies of a few weights at a time. None without an
    optimiser, and for one that computes the loss again.

    Args:
        seen: of the net.
        rate: option of the optimiser's groups that has the learning rate, where they have it.
    """
    if seen.optimizer is None or needs_closure(seen.optimizer):
        return None
    gradients = {
        p: seen.gradients[name]
        for name, p in seen.module.named_parameters()
        if p.ndim > 1 and name in seen.gradients and seen.gradients[name].any()
    }
    size = norm([*seen.gradients.values()])
    factor = min(1.0, seen.clip / float(size)) if seen.clip and size > 0 else 1.0
    ratios: dict[nn.Parameter, Tensor] = {}
    with torch.random.fork_rng(cuda_devices([*gradients])):  # some optimisers draw
        for few in portions([*gradients]):
            ratios |= ratios_of(seen.optimizer, {p: gradients[p] * factor for p in few}, rate)
    groups = [
        [ratios[p] for p in group["params"] if p in ratios] for group in seen.optimizer.param_groups
    ]
    medians = [float(together(group).median()) for group in groups if group]
    return max(medians, default=None)


def ratios_of(
    optimizer: Optimizer, gradients: Mapping[nn.Parameter, Tensor], rate: str
) -> dict[nn.Parameter, Tensor]:
    """For some weights the size `[]` of an optimiser's next step over their own size."""
    copies = [nn.Parameter(p.detach().clone()) for p in gradients]
    for copied, gradient in zip(copies, gradients.values(), strict=True):
        copied.grad = gradient
    stepping = optimizer_of(optimizer, [*gradients], copies, rate)
    stepping.step()
    stepping.state.clear()  # it lies in a circle of references
    return {
        p: copied.detach().sub_(p.detach()).norm() / usual_size(p)
        for p, copied in zip(gradients, copies, strict=True)
    }


def usual_size(p: Tensor) -> Tensor:
    """The norm of a matrix, at least that of PyTorch's start of a layer.

    Equation: sqrt(n / 3), the norm of n rows of uniform numbers up to 1 / sqrt(length of a row)
    """
    return p.detach().norm().clamp(min=(len(p) / 3) ** 0.5)


def portions(weights: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Some weights in lists of at most a sixteenth of all numbers, or of one weight."""
    most = sum(p.numel() for p in weights) / PORTIONS
    few: list[nn.Parameter] = []
    for p in weights:
        if few and sum(each.numel() for each in few) + p.numel() > most:
            yield few
            few = []
        few.append(p)
    if few:
        yield few


def optimizer_of(
    optimizer: Optimizer, few: Sequence[nn.Parameter], copies: Sequence[nn.Parameter], rate: str
) -> Optimizer:
    """A copy of an optimiser that has copies of a few weights, with its memory of them.

    Of the others it has what is one number each, such as their counts of steps.
    """
    chosen, nothing = {id(p) for p in few}, nn.Parameter(torch.empty(0))
    memo: dict[int, Any] = {id(p): copied for p, copied in zip(few, copies, strict=True)}
    for p in (p for group in optimizer.param_groups for p in group["params"]):
        memo.setdefault(id(p), nothing)
        if p in optimizer.state:
            known = {
                key: value
                for key, value in optimizer.state[p].items()
                if id(p) in chosen or not isinstance(value, Tensor) or not value.ndim
            }
            memo[id(optimizer.state[p])] = tree_map_only(Tensor, Tensor.clone, known)
    copied = copy.deepcopy(optimizer, memo)
    for name in vars(optimizer).keys() - vars(copied).keys() - {"step"}:  # wrapped by schedules
        vars(copied)[name] = copy.deepcopy(vars(optimizer)[name], memo)
    for group in copied.param_groups:
        group["lr"] = group.get(rate, group["lr"])
    return copied


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether a step computes the loss again, as that of L-BFGS does."""
    _, *parameters = inspect.signature(type(optimizer).step).parameters.values()
    return any(p.name == "closure" and p.default is p.empty for p in parameters)
