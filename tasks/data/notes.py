"""Notes of one line on what is odd in a data set that may be used all the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from torch import Tensor

from tasks.data.folders import File, Folder
from tasks.data.phrases import SHOWN, counted, listed


def equal_images(
    images: Tensor, parts: Mapping[str, Tensor], names: Sequence[str]
) -> Iterator[str]:
    """A note for every two parts that have images with the same pixels.

    Args:
        images: `[N, ...]` uint8.
        parts: the numbers `[n]` long of the examples of each part.
        names: of all N images.
    """
    hashes = [hashlib.sha256(image.data).digest() for image in images.contiguous().numpy()]
    first = {
        part: {hashes[i]: i for i in reversed(numbers.tolist())} for part, numbers in parts.items()
    }
    for one, other in combinations(parts, 2):
        pairs = [
            (i, first[one][hashes[i]]) for i in parts[other].tolist() if hashes[i] in first[one]
        ]
        if pairs:
            some = ", ".join(f"{names[i]} = {names[j]}" for i, j in pairs[:SHOWN])
            more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
            verb = "is" if len(pairs) == 1 else "are"
            what = f"{counted(len(pairs), 'image')} of the {other} part {verb} also in {one}"
            yield f"{what} ({some}{more})"


def untrained_classes(counts: Mapping[str, Tensor], names: Sequence[str]) -> Iterator[str]:
    """A note on the classes that have no example in the training part.

    Args:
        counts: for each part how many examples or pixels of each class it has, `[classes]` long.
        names: of the classes.
    """
    lost = [number for number in range(len(names)) if not counts["train"][number]]
    if lost:
        others = {part: int(n[lost].sum()) for part, n in counts.items() if part != "train"}
        have = " and ".join(f"{n:,} in {part}" for part, n in others.items() if n) or "none at all"
        classes = listed(names[number] for number in lost)
        yield f"the training part has nothing of {counted(len(lost), 'class')}: {classes} ({have})"


def unread(tree: Folder, used: Iterable[File], unused: Iterable[Folder]) -> Iterator[str]:
    """A note on the files of a tree that nothing reads.

    Args:
        tree: the data's folder.
        used: the files that are read.
        unused: folders with a note of their own.
    """
    named = {file.relative for file in used}
    named |= {file.relative for folder in unused for file in folder.all()}
    rest = [file.relative for file in tree.all() if file.relative not in named] + tree.all_passed()
    if rest:
        verb = "is" if len(rest) == 1 else "are"
        yield f"{counted(len(rest), 'other file')} {verb} not read: {listed(sorted(rest))}"
