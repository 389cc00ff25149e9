"""What is odd in a data set that may be used all the same, as notes of one line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from torch import Tensor

from tasks.data.folders import SHOWN, counted, listed
from zoo.errors import cut

FEW = 8  # classes that are named in a summary


def equal_images(
    images: Tensor, parts: Mapping[str, Tensor], names: Sequence[str]
) -> Iterator[str]:
    """A note for every two parts that share images, by their pixels.

    Args:
        images: `[N, ...]` uint8.
        parts: `[n]` long, the examples of each part.
        names: of all N.
    """
    hashes = [hashlib.sha256(image.data).digest() for image in images.contiguous().numpy()]
    first = {
        part: {hashes[i]: i for i in reversed(places.tolist())} for part, places in parts.items()
    }
    for one, other in combinations(parts, 2):
        pairs = [
            (i, first[one][hashes[i]]) for i in parts[other].tolist() if hashes[i] in first[one]
        ]
        if pairs:
            some = ", ".join(f"{names[i]} = {names[j]}" for i, j in pairs[:SHOWN])
            more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
            are = "is" if len(pairs) == 1 else "are"
            what = f"{counted(len(pairs), 'image')} of the {other} part {are} also in {one}"
            yield f"{what} ({some}{more})"


def untrained_classes(counts: Mapping[str, Tensor], names: Sequence[str]) -> Iterator[str]:
    """A note on classes without an example in the training part, and what other parts have.

    Args:
        counts: `[classes]` long for each part, its examples or pixels of each class.
        names: of the classes.
    """
    lost = [number for number in range(len(names)) if not counts["train"][number]]
    if lost:
        others = {part: int(n[lost].sum()) for part, n in counts.items() if part != "train"}
        have = " and ".join(f"{n:,} in {part}" for part, n in others.items() if n) or "none at all"
        classes = listed(names[number] for number in lost)
        yield f"the training part has nothing of {counted(len(lost), 'class')}: {classes} ({have})"


def named_classes(names: Sequence[str]) -> str:
    """
    >>> named_classes(["cat", "dog"])
    '2 classes (cat, dog)'
    """
    shown = ", ".join(cut(name) for name in names[:FEW]) + (", ..." if len(names) > FEW else "")
    return f"{counted(len(names), 'class')} ({shown})"


def sized_parts(parts: Mapping[str, object]) -> str:
    """
    >>> sized_parts({"train": range(1200), "test": range(3)})
    'train 1,200, test 3'
    """
    return ", ".join(f"{part} {len(places):,}" for part, places in parts.items())  # type: ignore[arg-type]
