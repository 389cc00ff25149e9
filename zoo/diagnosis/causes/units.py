"""Units that say nothing, or all the same."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding

FLAT = 0.5  # share of a layer's units
FEWEST = 8  # units, and values of each, of which a share says something


def dead_units(seen: Examination) -> Iterator[Finding]:
    """Layers half of whose rectified units answer zero to all examples."""
    cure = "lower the rate, or start with zero biases and a smaller first step (warm-up)"
    yield from flat(seen, "dead_units", ("relu", "relu_", "relu6"), "are zero everywhere", cure)


def saturated_units(seen: Examination) -> Iterator[Finding]:
    """Layers half of whose bounded units stand at an end for all examples."""
    cure = "shrink what they read: a norm before them, smaller weights, inputs of size one"
    names = ("tanh", "tanh_", "sigmoid", "sigmoid_", "hardtanh", "hardsigmoid")
    yield from flat(seen, "saturated_units", names, "never leave an end", cure)


def flat(
    seen: Examination, cause: str, names: tuple[str, ...], what: str, cure: str
) -> Iterator[Finding]:
    """One finding for the layer with the most flat units of some activations."""
    rows = [
        (float(out.flat), out)
        for out in seen.outputs
        if out.flat is not None
        and out.call.name in names
        and units_of(out.shape) >= FEWEST
        and out.shape.numel() >= FEWEST * units_of(out.shape)
    ]
    share, out = max(rows, key=lambda row: row[0], default=(0.0, None))
    if out and share > FLAT:
        said = f"{100 * share:.0f} % of the units of {out.call.name} {what}"
        yield Finding(cause, out.call.module, share, FLAT, said, cure)


def units_of(shape: torch.Size) -> int:
    """The number of units of a tensor: channels of images, the last axis of all others."""
    return shape[1] if len(shape) == 4 else shape[-1]


def equal_units(seen: Examination) -> Iterator[Finding]:
    """Matrices with equal rows that have equal gradients, so that they stay equal."""
    for name, p in seen.module.named_parameters():
        gradient = seen.gradients.get(name)
        if p.ndim < 2 or len(p) < 2 or gradient is None or not gradient.any():
            continue
        both = equal_rows(p.detach()), equal_rows(gradient)
        if all(both):
            module = name.rpartition(".")[0]
            said = f"all {len(p)} units have the same weights and the same gradient"
            cure = "draw the weights at random; a constant start cannot be left"
            yield Finding("equal_units", module, len(p), 1, said, cure)


def equal_rows(x: Tensor) -> bool:
    """Whether all rows are equal up to rounding."""
    return bool(torch.allclose(x, x[:1].expand_as(x), rtol=1e-4, atol=1e-4 * float(x.abs().max())))


def unused_parameters(seen: Examination) -> Iterator[Finding]:
    """Parameters that need a gradient and get none."""
    names = [
        name
        for name, p in seen.module.named_parameters()
        if p.requires_grad and name not in seen.gradients
    ]
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        said = f"{len(names)} parameters get no gradient: {shown}"
        cure = "use them in the forward pass, undo a detach, or freeze them: requires_grad_(False)"
        yield Finding("unused_parameters", names[0].rpartition(".")[0], len(names), 0, said, cure)
