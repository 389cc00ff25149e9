"""Data of their own for the pairs of a comparison, so that its intervals hold for other data too.

A class of data that can be made anew says so by `redrawn`: the options that, together with `seed`,
give other data of the same kind. Both arms of a pair share its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.compare.design.axes import Values
from zoo.config import registry


def data_of_pair(data: str, pair: int, values: Mapping[str, Any]) -> Values:
    """The options that give a pair data of its own; none where the data cannot be made anew.

    Args:
        data: name of the data.
        pair: its number, which becomes the seed of the data.
        values: that the comparison sets; a seed among them means these data.
    """
    redrawn = getattr(registry.resolve("data", data), "redrawn", None)
    if redrawn is None or "data.seed" in values:
        return {}
    options = {f"data.{option}": value for option, value in redrawn.items()}
    return {**options, "data.seed": pair} if not options.keys() & values.keys() else {}
