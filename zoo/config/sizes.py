"""Types of sizes, each with an upper end above all sensible values, so that slips are refused."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

Depth = Annotated[int, Ge(1), Le(2_000)]  # of layers, blocks or convolutions
Levels = Annotated[int, Ge(1), Le(10)]  # of a U-Net: each one halves the image
Index = Annotated[int, Ge(0), Le(10)]  # of a level, from 0
Width = Annotated[int, Ge(1), Le(65_536)]  # channels, and sides of an image in pixels
Pixels = Annotated[int, Ge(0), Le(65_536)]  # a side of an image; 0: none
Every = bool | Annotated[int, Ge(1), Le(4_000)]  # true: each one; false: none; k: each k-th one
Few = Annotated[int, Ge(1), Le(256)]  # streams, blocks of a level, heads and the like
Context = Annotated[int, Ge(1), Le(2**20)]  # tokens
Batch = Annotated[int, Ge(1), Le(2**20)]  # examples of a batch
Count = Annotated[int, Ge(1), Le(10_000_000)]  # examples, tokens or images that are made
