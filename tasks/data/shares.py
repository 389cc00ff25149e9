"""Validation and test parts that are shares of the training examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from zoo.seeding import generator

Share = Annotated[float, Gt(0), Lt(1)]
Seed = Annotated[int, Ge(0)]  # of the choice of a share
VAL, TEST = 0.1, 0.2  # usual shares for validation and test


def share_size(share: float, examples: Tensor) -> int:
    """The number of examples that make up a share of `[n]` examples: at least one."""
    return max(1, round(share * len(examples)))


def parts_with_shares(
    labels: Tensor, in_split: dict[str, Tensor], val: float, test: float, seed: int
) -> dict[str, Tensor]:
    """The examples of `train`, `val` and `test`: a part without a split is a share of `train`.

    Args:
        labels: `[N]` long, by which shares are stratified.
        in_split: the numbers `[n]` long of the examples of each part that has a split.
        val: the share for validation, of what the test leaves.
        test: the share for the test, which is always the same one.
        seed: of the choice of the validation part.

    Returns:
        The numbers `[n]` long of the examples of each part.
    """
    parts = dict(in_split)
    for part, size, key in (("test", test, 0), ("val", val, seed)):
        if part not in parts:
            train = parts["train"]
            rest, taken = stratified_split(labels, train, share_size(size, train), key, part)
            parts |= {"train": rest, part: taken}
    return parts


def stratified_split(
    labels: Tensor, examples: Tensor, count: int, seed: int, name: str
) -> tuple[Tensor, Tensor]:
    """Splits examples in two so that each class has its share in both parts.

    The share of a class is rounded by largest remainder; no class gives its last example away, so
    that the second part can be smaller than asked for.

    Args:
        labels: `[N]` long.
        examples: `[n]` long, the numbers of those that are split.
        count: size of the second part.
        seed: of the choice.
        name: of the second part, which keys the draws.

    Returns:
        The numbers of both parts, `[n - k]` and `[k]` long, in the order of `examples`.
    """
    classes = labels[examples]
    values, sizes = classes.unique(return_counts=True)
    exact = sizes.double() * (count / max(1, len(classes)))
    quota = torch.minimum(exact.floor().long(), sizes - 1)
    order = (exact - quota).argsort(descending=True, stable=True)
    spare = order[(quota < sizes - 1)[order]]
    quota[spare[: count - int(quota.sum())]] += 1
    draws = generator(seed, "split", name)
    taken = torch.zeros(len(classes), dtype=torch.bool)
    for value, share in zip(values, quota.tolist(), strict=True):
        members = (classes == value).nonzero().flatten()
        taken[members[torch.randperm(len(members), generator=draws)[:share]]] = True
    return examples[~taken], examples[taken]


def idle_shares(
    in_split: Mapping[str, Tensor], val: float, test: float, seed: int
) -> Iterator[str]:
    """A note for each option that chooses a share although its part has a split of its own.

    Args:
        in_split: the numbers `[n]` long of the examples of each part that has a split.
        val: the option for the share for validation.
        test: the option for the share for the test.
        seed: the option for the choice of the validation part.
    """
    shares = {"val": (val, VAL), "test": (test, TEST)}
    changed = [(key, share, key) for key, (share, usual) in shares.items() if share != usual]
    for key, value, part in [*changed, *([("seed", seed, "val")] if seed else [])]:
        if part in in_split:
            yield f"data.{key}={value} counts for nothing: the data has a {part} part"
