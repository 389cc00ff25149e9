"""Gradients that do not keep their size on their way through the depth of a net."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.diagnosis.causes.graph import before_layers
from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding

FEWEST = 4  # writes, or layers, of a depth
VANISHING, EXPLODING = 1e-4, 1e3  # the gradient at the start over that at the end


def vanishing_gradients(seen: Examination) -> Iterator[Finding]:
    """A gradient that is next to nothing at the start of the depth."""
    ratio, where, end = start_over_end(seen)
    if ratio < VANISHING:
        said = f"it falls to {ratio:.2g} of its size at {end}, below {VANISHING:g}"
        cure = "give the branches a skip (connection=residual), or norms before them (norm=pre)"
        yield Finding("vanishing_gradients", where, ratio, VANISHING, said, cure)


def exploding_gradients(seen: Examination) -> Iterator[Finding]:
    """A gradient that is huge at the start of the depth."""
    ratio, where, end = start_over_end(seen)
    if ratio > EXPLODING:
        said = f"it grows to {ratio:.2g} times its size at {end}, beyond {EXPLODING:g}"
        cure = "give the branches a skip (connection=residual), or a smaller start (init=fixup)"
        yield Finding("exploding_gradients", where, ratio, EXPLODING, said, cure)


def start_over_end(seen: Examination) -> tuple[float, str, str]:
    """The gradient's size at the start of the depth over that at its end, the place of the start,
    and what the end is.

    The depth is that of the writes; in a net without any, that of the functions with weights. Such
    a net ends with its heads, those that no other comes behind, at the one with most gradient.
    """
    if seen.profile and len(seen.profile.modules) >= FEWEST:
        return ratio_of(seen.profile.gradient), seen.profile.modules[0], "the last write"
    numbers = sorted(seen.flows)
    if len(numbers) < FEWEST:
        return math.nan, "", ""
    inner = before_layers(seen.calls)
    heads = [number for number in numbers if number not in inner] or numbers[-1:]
    head = max(heads, key=lambda number: float(seen.flows[number]))
    flows = torch.stack([seen.flows[number].cpu() for number in (*numbers, head)])
    if not any(flow > 0 for number, flow in zip(numbers, flows, strict=False) if number in inner):
        return math.nan, "", ""  # a head that begins with zeros lets none through
    return ratio_of(flows), seen.calls[numbers[0]].module, "the head"


def ratio_of(sizes: Tensor) -> float:
    """The first of some sizes over the last one; NaN where one is not known or not finite."""
    known = sizes[sizes.isfinite()]
    if len(known) < FEWEST or not known[-1] > 0:
        return math.nan
    return float(known[0] / known[-1])
