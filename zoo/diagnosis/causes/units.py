"""Units that say nothing, or all the same."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.connection import Connection
from zoo.diagnosis.causes.graph import before_layers, last_call
from zoo.diagnosis.examination import Examination, Output
from zoo.diagnosis.finding import Finding
from zoo.probes.pieces import MOST, pieces
from zoo.probes.watch.calls import Call

DEAD = 0.5  # share of a layer's units
FLAT = 0.65  # share of a layer's values
SAME = 1e-5  # what rows may differ by, of the largest
FEWEST = 8  # units, and values of each, of which a share says something


def dead_units(seen: Examination) -> Iterator[Finding]:
    """Layers half of whose rectified units answer zero to all examples, and are far from more."""
    cure = "lower the rate, or start with zero biases and a smaller first step (warm-up)"
    rows = [(float(out.dead), out) for out in seen.outputs if out.dead is not None]
    yield from worst(seen, "dead_units", rows, DEAD, "units are zero everywhere", cure)


def saturated_units(seen: Examination) -> Iterator[Finding]:
    """Layers most of whose bounded values stand at an end; a net's answers may well do so."""
    inner = before_layers(seen.calls)
    cure = "shrink what they read: a norm before them, smaller weights, inputs of size one"
    rows = [
        (float(out.flat), out)
        for out in seen.outputs
        if out.flat is not None and out.dead is None and out.call.number in inner
    ]
    yield from worst(seen, "saturated_units", rows, FLAT, "values stand at an end", cure)


def worst(
    seen: Examination,
    cause: str,
    rows: list[tuple[float, Output]],
    limit: float,
    what: str,
    cure: str,
) -> Iterator[Finding]:
    """One finding for the layer with the largest share."""
    large = [
        (share, out)
        for share, out in rows
        if out.units >= FEWEST and out.shape.numel() >= FEWEST * out.units
    ]
    share, out = max(large, key=lambda row: row[0], default=(0.0, None))
    if out and share > limit:
        said = f"{100 * share:.0f} % of {out.call.name}'s {what}"
        where = out.call.module or layer_before(seen, out.call)
        yield Finding(cause, where, share, limit, said, cure)


def layer_before(seen: Examination, call: Call) -> str:
    """The module of the last call with weights that a call comes from."""
    while call.inputs and not call.weighted:
        call = seen.calls[max(call.inputs)]
    return call.module


def equal_units(seen: Examination) -> Iterator[Finding]:
    """Matrices at least half of whose units have a twin with the same weights and gradient.

    A matrix without any gradient, all of whose units are one, counts where a gradient comes to what
    it makes: it is fed zeros, and nothing behind it can change that. Coefficients of a connection
    are no units: its streams may well begin alike.
    """
    reached = {seen.calls[number].module for number, flow in seen.flows.items() if flow > 0}
    for name, parameter in seen.module.named_parameters():
        gradient, module = seen.gradients.get(name), name.rpartition(".")[0]
        p = parameter.detach()
        if isinstance(seen.module.get_submodule(module), Connection):
            continue
        if p.ndim < 2 or len(p) < 2 or gradient is None:
            continue
        if p.is_complex():
            p, gradient = (torch.view_as_real(x.resolve_conj()) for x in (p, gradient))
        moving = gradient.flatten(1).any(1)
        if moving.any():
            count, different = int(moving.sum()), distinct(p, gradient, moving)
        else:
            fed_zeros = module in reached and distinct(p, gradient, ~moving) == 1
            count, different = len(p), 1 if fed_zeros else len(p)
        if count > 1 and (different == 1 or 2 * different <= count):
            said = f"{count} units have {different} different weights and gradients"
            cure = "draw the weights at random; a constant start cannot be left"
            yield Finding("equal_units", module, count / different, 2, said, cure)


def keys_of(weights: Tensor, gradients: Tensor) -> Tensor:
    """A number `[n]` double for each row of weights and of their gradients: equal rows, equal keys.

    Equation: w c / max |w| + g d / max |g|, with fixed vectors c and d
    """
    factors = torch.arange(1.0, 2 * weights[0].numel() + 1, dtype=torch.double).cos()
    keys = []
    for x, vector in zip((weights, gradients), factors.to(weights.device).chunk(2), strict=True):
        scale = torch.stack(x.detach().aminmax()).abs().amax().double().clamp(min=1e-300)
        keys.append(torch.cat([part.flatten(1).double() @ vector for part in pieces(x)]) / scale)
    return keys[0] + keys[1]


def distinct(weights: Tensor, gradients: Tensor, chosen: Tensor) -> int:
    """How many of the chosen rows differ beyond rounding, in weights or gradients.

    Rows that are equal have equal keys, so that they are neighbours in the order of keys; rows
    that differ may have close keys too, so that close neighbours are compared.
    """
    rows = chosen.nonzero()[:, 0]
    keys, order = keys_of(weights, gradients)[rows].sort()
    rows, close = rows[order], keys.diff() <= SAME * keys.abs().amax()
    pairs = torch.stack([rows[:-1], rows[1:]], 1)[close]
    twins = 0
    for few in pairs.split(max(1, MOST // weights[0].numel())):
        same = [equal_rows(x.detach().flatten(1), few) for x in (weights, gradients)]
        twins += int((same[0] & same[1]).sum())
    return len(rows) - twins


def equal_rows(x: Tensor, pairs: Tensor) -> Tensor:
    """Whether the two rows of each pair are the same but for rounding."""
    largest = torch.stack(x.aminmax()).abs().amax()
    return (x[pairs[:, 0]] - x[pairs[:, 1]]).abs().amax(1) <= SAME * largest


def unused_parameters(seen: Examination) -> Iterator[Finding]:
    """Parameters that need a gradient and get none, in this pass and in others."""
    names = seen.unused
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        said = f"{len(names)} parameters get no gradient: {shown}"
        cure = "use them in the forward pass, undo a detach, or freeze them: requires_grad_(False)"
        name = max(names, key=lambda name: last_call(seen, name))  # a detach comes behind it
        yield Finding("unused_parameters", name.rpartition(".")[0], len(names), 0, said, cure)
