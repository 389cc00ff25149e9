"""What the processes of a run tell each other: sums of an evaluation, and what they have read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.errors import DataError

Totals = dict[str, Tensor]  # sums over examples, for means with their number under `count`


def gathered(trainer: Any, mine: Any) -> list[Any]:
    """What every process gives, in the order of their ranks; every process calls it."""
    if trainer.world_size == 1:
        return [mine]
    everyone: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(everyone, mine)
    return everyone


def on_host(sums: dict[str, Totals]) -> dict[str, Totals]:
    """The sums of all parts as doubles in the host's memory, for which the device is awaited once.

    Args:
        sums: of each part of the data.
    """
    values = [value for totals in sums.values() for value in totals.values()]
    if not values:
        return {}
    flat = torch.cat([value.double().flatten() for value in values]).cpu()
    chunks = iter(flat.split([value.numel() for value in values]))
    return {
        part: {name: next(chunks).view(value.shape) for name, value in totals.items()}
        for part, totals in sums.items()
    }


def summed(of_processes: Sequence[dict[str, Totals]]) -> dict[str, Totals]:
    """The sums over processes; one that took no batch of a part has none of it."""
    whole: dict[str, Totals] = {}
    for sums in of_processes:
        for part, totals in sums.items():
            before = whole.setdefault(part, {})
            for name, value in totals.items():
                before[name] = before[name] + value if name in before else value
    return whole


def refuse_other_data(digests: Sequence[str]) -> None:
    """DataError where a process has read other data than the first one.

    Args:
        digests: of the data of every process.
    """
    for rank, digest in enumerate(digests):
        if digest != digests[0]:
            what = f"process {rank} has read other data than process 0"
            fix = "give all machines the same files, and the same versions of Python and packages"
            raise DataError(what, "data", fix)
