"""Whether the rows of a stream have become alike, or its examples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.diagnosis.causes.graph import before_layers
from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding

FEWEST = 4  # rows that may be alike
ALIKE = 1e-4  # spread of the rows of a stream over their size
ROUNDING = 1e-10  # spread of rows that differ by rounding at most


def streams_of(seen: Examination) -> list[tuple[tuple[str, Tensor], torch.Size]]:
    """How alike the streams are that may collapse, each with what left it so, and the shape."""
    if len(seen.writes) > 1:
        shapes = {out.call.number: out.shape for out in seen.outputs}
        ends = [write.branch[0].number if write.branch else -1 for write in seen.writes]
        steps = zip(itertools.pairwise(seen.alike), ends[1 - len(seen.alike) :], strict=True)
        rows = [((left[0], here[1]), shapes[end]) for (left, here), end in steps if end in shapes]
        return [(alike, shape) for alike, shape in rows if row_size(shape) > 1]
    layers = [out for out in seen.outputs if out.call.weighted]
    inner = before_layers(seen.calls)
    rows = [
        (alike, out.shape)
        for alike, out in zip(seen.alike, layers, strict=False)
        if out.call.number in inner and row_size(out.shape) > 1
    ]
    return rows[-1:]


def row_size(shape: torch.Size) -> int:
    """How many numbers a row has: of a token of texts, of an image, of a node."""
    return shape[-1] if len(shape) == 3 else shape[1:].numel()


def enough_rows(shape: torch.Size) -> Tensor:
    """Whether there are enough rows, and examples `[2]`, to be alike by more than chance."""
    return torch.tensor([shape[len(shape) == 3], shape[0]]) >= FEWEST


def collapsed_features(seen: Examination) -> Iterator[Finding]:
    """A stream whose rows, or whose examples, have become alike, though they were not at its start.

    They are alike to its end, or to rounding: nearly alike is no loss where a skip from before
    brings back what keeps them apart, as around the bottom of a U-Net. In a net without skips it
    is the last function with weights before a head that counts. Values of one channel, or of a few
    rows, are alike by their number.
    """
    if len(seen.alike) < 2:
        return
    start = seen.alike[0][1].cpu()
    rows = [(name, spreads.cpu(), shape) for (name, spreads), shape in streams_of(seen)]
    for module, spreads, shape in rows:
        alike = (spreads < ROUNDING) | ((spreads < ALIKE) & (rows[-1][1] < ALIKE))
        small = alike & (start >= 100 * ALIKE) & enough_rows(shape)
        if small.any():
            kind = int(small.nonzero()[0])
            spread, first = float(spreads[kind]), float(start[kind])
            what = ("their rows", "the examples")[kind]
            said = f"the spread of {what} is {spread:.2g} of their size, {first:.2g} at the start"
            cure = "a skip from the start keeps them apart: connection=residual, or initial"
            yield Finding("collapsed_features", module, spread, ALIKE, said, cure)
            return
