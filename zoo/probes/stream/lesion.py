"""What a trained net loses with some of its branches, and by the order of those it has."""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.connection import State
from zoo.probes.watch.untouched import Loss, untouched
from zoo.probes.watch.watched import watched
from zoo.probes.watch.writes import Watch, Write
from zoo.stack import Stack

Removal = Literal["skip", "zero"]


@dataclass(frozen=True)
class Lesions:
    """What a net loses by each of some lesions.

    Args:
        names: of the lesions: the paths of the writes that were removed, or swapped.
        losses: `[lesions]`.
        intact: the loss without any, `[]`.
    """

    names: list[str]
    losses: Tensor
    intact: Tensor


class Removed(Watch):
    """Removes the branches of some writes.

    Args:
        writes: their indices.
        how: `skip` goes on with the state as it was before the write, which a history then lacks;
            `zero` writes zeros.
    """

    def __init__(self, writes: Collection[int], how: Removal = "skip"):
        self.writes, self.how = writes, how
        self.names: list[str] = []
        self.before: State = None

    def terms(self, write: Write, state: State, branch: Tensor) -> tuple[State, Tensor]:
        self.names.append(write.module)
        self.before = state
        zero = self.how == "zero" and write.index in self.writes
        return state, torch.zeros_like(branch) if zero else branch

    def after(self, write: Write, state: State) -> State:
        return self.before if self.how == "skip" and write.index in self.writes else state


def writes_of(module: nn.Module, batch: Any, loss: Loss) -> list[str]:
    """The paths of what writes to the streams of a net, in the order of the pass."""
    watch = Removed(())
    with torch.no_grad(), watched(module, watch):
        loss(module, batch)
    return watch.names


def lesions(
    module: nn.Module,
    batch: Any,
    loss: Loss,
    sets: Sequence[Collection[int]] | None = None,
    how: Removal = "skip",
) -> Lesions:
    """The loss of a net without some of its branches, with every skip kept.

    Source: Veit et al. 2016, arXiv:1605.06431, sections 4.1 and 4.2

    Of a rule that keeps a history, `skip` and `zero` are two experiments: a branch that was never
    there, and one that said nothing. Of a plain net `skip` removes the layer, and `zero` everything
    before it. Of a sum both are the same.

    Args:
        module: the net, in evaluation.
        batch: what `loss` takes.
        loss: gives a scalar, of the net and the batch; an accuracy serves as well.
        sets: indices of the writes that are removed together; None: every write alone.
        how: what takes the place of a removed branch.

    Errors:
        ValueError: the net has no write; a rule has a coefficient for every entry of its history,
            of which `skip` takes one.
    """
    names = writes_of(module, batch, loss)
    if not names:
        raise ValueError("the net has no skip: no connection, and no sum of a value and its branch")
    sets = [{i} for i in range(len(names))] if sets is None else sets
    values = []
    for removed in [(), *sets]:
        values.append(without(removed, how, module, batch, loss))
    named = [", ".join(names[i] for i in sorted(removed)) for removed in sets]
    return Lesions(named, torch.stack(values[1:]), values[0])


def without(
    removed: Collection[int], how: Removal, module: nn.Module, batch: Any, loss: Loss
) -> Tensor:
    """The loss `[]` without some branches."""
    try:
        with torch.no_grad(), watched(module, Removed(removed, how)):
            return loss(module, batch).detach().double().cpu()
    except (RuntimeError, IndexError, ValueError) as error:
        if removed and how == "skip":
            what = "the net cannot go on with a history that lacks an entry: use how='zero'"
            raise ValueError(what) from error
        raise


def random_sets(writes: int, size: int, count: int, seed: int = 0) -> list[set[int]]:
    """Some random sets of writes of one size.

    Args:
        writes: number of them in the net.
        size: of each set.
        count: number of sets.
        seed: of the draws.
    """
    draw = random.Random(seed)
    return [set(draw.sample(range(writes), size)) for _ in range(count)]


def swaps(module: nn.Module, batch: Any, loss: Loss) -> Lesions:
    """The loss of a net in which two neighbouring branches of a stack have changed places.

    Source: Greff et al. 2017, arXiv:1612.07771, section 5.1; Veit et al. 2016, section 4.3

    Branches at a stage change stay where they are.

    Args:
        module: a net of stacks, in evaluation.
        batch: what `loss` takes.
        loss: as of `lesions`.

    Errors:
        ValueError: no two branches can be swapped.
    """
    with torch.no_grad(), untouched(module):
        intact = loss(module, batch).detach().double().cpu()
        names, values = [], []
        for name, branches, i in neighbours(module):
            branches[i], branches[i + 1] = branches[i + 1], branches[i]
            try:
                values.append(loss(module, batch).detach().double().cpu())
            finally:
                branches[i], branches[i + 1] = branches[i + 1], branches[i]
            names.append(f"{name}.branches.{i} and {i + 1}")
    if not values:
        raise ValueError("the net has no two branches in a row that can be swapped")
    return Lesions(names, torch.stack(values), intact)


def neighbours(module: nn.Module) -> Iterator[tuple[str, nn.ModuleList, int]]:
    """The stacks of a net, with the first of every two branches that can be swapped."""
    for name, stack in module.named_modules():
        if isinstance(stack, Stack):
            changes = [connection.site.out is not None for connection in stack.sites]  # type: ignore[union-attr]
            for i, pair in enumerate(itertools.pairwise(changes)):
                if not any(pair):
                    yield name, stack.branches, i
