"""Notes of one line on what is odd in a data set that may be used all the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from torch import Tensor

from tasks.data.file_rows import Bytes, pieces
from tasks.data.folders import File, Folder
from tasks.data.phrases import SHOWN, counted, listed


def equal_images(
    images: Bytes, parts: Mapping[str, Tensor], name: Callable[[int], str]
) -> Iterator[str]:
    """A note for every two parts that have images with the same pixels.

    Args:
        images: `[N, ...]` uint8.
        parts: the numbers `[n]` long of the examples of each part.
        name: gives that of an image by its number.
    """
    digests = np.concatenate([*map(digests_of, pieces(images))])
    for one, other in combinations(parts, 2):
        pairs = equal_pairs(digests, parts[one].numpy(), parts[other].numpy())
        if len(pairs):
            some = ", ".join(f"{name(i)} = {name(j)}" for i, j in pairs[:SHOWN].tolist())
            more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
            verb = "is" if len(pairs) == 1 else "are"
            what = f"{counted(len(pairs), 'image')} of the {other} part {verb} also in {one}"
            yield f"{what} ({some}{more})"


def digests_of(rows: Tensor) -> np.ndarray:
    """The first 16 bytes of the SHA-256 of each row of `[n, ...]` uint8, as `[n]` byte strings."""
    digests = [hashlib.sha256(row.data).digest()[:16] for row in rows.contiguous().numpy()]
    return np.array(digests, "S16")


def equal_pairs(digests: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The examples of one part that are equal to some of another, `[n, 2]` long.

    Args:
        digests: `[N]`, of all images.
        one: `[a]` long, the numbers of the examples of a part; the first equal one stands second.
        other: `[b]` long, those of another part, which stand first, in their order.
    """
    known, first = np.unique(digests[one], return_index=True)
    place = np.searchsorted(known, digests[other]).clip(max=len(known) - 1)
    equal = known[place] == digests[other]
    return np.stack([other[equal], one[first[place[equal]]]], 1)


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
