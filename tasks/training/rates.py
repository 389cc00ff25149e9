"""Learning rates as a step of a GPU reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


@contextlib.contextmanager
def lending(groups: Sequence[dict[str, Any]], rates: Sequence[Any], **more: Any) -> Iterator[None]:
    """Within, groups of parameters have other learning rates, and other values of what else.

    Args:
        groups: of an optimiser.
        rates: of each group.
        more: other options that a group may have.
    """
    before = [{key: group[key] for key in ("lr", *more) if key in group} for group in groups]
    for group, mine, rate in zip(groups, before, rates, strict=True):
        group |= {key: value for key, value in {**more, "lr": rate}.items() if key in mine}
    try:
        yield
    finally:
        for group, mine in zip(groups, before, strict=True):
            group |= mine


def in_float32(groups: Sequence[dict[str, Any]]) -> contextlib.AbstractContextManager[None]:
    """Within, a GPU's optimiser has learning rates in float32, as recorded steps read them.

    Without it a run would differ by the last bit from one with `trainer.graphs=true`.
    """
    rates = [group["lr"] for group in groups]
    if groups[0]["params"][0].is_cuda and groups[0].get("fused"):
        rates = [float(np.float32(rate)) for rate in rates]
    return lending(groups, rates)
