"""Data of their own for the pairs of a comparison, so that its intervals hold for other data too.

A class of data says by `redrawn` what another `seed` gives: `anew`, other examples of the same
kind, or `split`, another split of one finite set, where its option `resplit` is on. Both arms of a
pair share its data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.compare.design.axes import Values
from zoo.compare.design.cell import Cell
from zoo.config import registry


def data_of_pair(data: str, pair: int, values: Mapping[str, Any], tuned: bool) -> Values:
    """The options that give a pair data of its own; none where all pairs share their data.

    Splits of one set share examples. Where options are tuned they keep the declared one, so that
    no example that a pair tests is among those that tuning trains or validates on.

    Args:
        data: name of the data.
        pair: its number, which becomes the seed of the data.
        values: that the comparison sets; a seed or a split among them means these data.
        tuned: whether options are tuned.
    """
    redrawn: str = getattr(registry.resolve("data", data), "redrawn", "")
    seed = {"data.seed": pair}
    options = {"anew": seed, "split": {"data.resplit": True, **seed}}.get(redrawn, {})
    stay = options.keys() & values.keys() or (tuned and redrawn == "split")
    return {} if stay else options


def varied_places(cells: Sequence[Cell]) -> tuple[list[str], list[str]]:
    """The titles of the places whose pairs do not share one seed of the data.

    Returns:
        Those of all such places, and those of the places where the seed is that of a split.
    """
    seeds: dict[str, set[Any]] = {}
    splits = set()
    for cell in cells:
        data, title = cell.config.sections["data"], cell.place.title()
        seeds.setdefault(title, set()).add(data.get("seed"))
        splits |= {title} if data.get("resplit") else set()
    varied = [title for title, of_place in seeds.items() if len(of_place) > 1]
    return varied, [title for title in varied if title in splits]
