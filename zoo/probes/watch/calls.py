"""The functions that a forward pass calls, as a graph, and how two values in it are related."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

SHAPES = (
    "expand_as",
    "view_as",
    "reshape_as",
    "type_as",
)  # of whose second tensor no value is used


@dataclass(frozen=True)
class Call:
    """A call of a function in a forward pass.

    Args:
        number: in the order of the pass.
        name: of the function.
        module: path of the innermost module that called it.
        inputs: numbers of the calls whose results it takes, but for fixed ones.
        weighted: whether it takes a parameter, or what was computed of parameters alone.
        fixed: whether it takes nothing else.
    """

    number: int
    name: str
    module: str
    inputs: tuple[int, ...]
    weighted: bool
    fixed: bool


@dataclass(frozen=True)
class Ways:
    """How two values come from one.

    Args:
        source: number of the call that made the last value from which both come.
        first: calls from there to the first of them, latest first; none where it is the source.
        second: the same to the second.
    """

    source: int
    first: list[Call]
    second: list[Call]


class Calls:
    """The calls of a forward pass in their order; calls only refer to earlier ones."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.numbers = WeakIdKeyDictionary()  # for each tensor that of the call that made it

    def number(self, x: Tensor) -> int:
        """The number of the call that made a tensor; a new one where the pass was given it."""
        if x not in self.numbers:
            weight = isinstance(x, nn.Parameter)
            self.calls.append(Call(len(self.calls), "input", "", (), weighted=weight, fixed=weight))
            self.numbers[x] = len(self.calls) - 1
        return int(self.numbers[x])

    def add(self, name: str, module: str, inputs: Iterable[int], made: Sequence[Tensor]) -> Call:
        """Adds a call that made some tensors, or changed them in place, and returns it."""
        calls = {i: self.calls[i] for i in inputs}
        moving = tuple(sorted(i for i, call in calls.items() if not call.fixed))
        weighted = any(call.fixed for call in calls.values())
        fixed = weighted and not moving
        call = Call(len(self.calls), name, module, moving, weighted, fixed)
        self.calls.append(call)
        for tensor in made:
            self.numbers[tensor] = call.number
        return call

    def ways(self, a: Tensor, b: Tensor) -> Ways | None:
        """How two tensors come from the last value that both come from; None without any."""
        first, second = self.number(a), self.number(b)
        sides = {first: {0}, second: {1}} if first != second else {first: {0, 1}}
        heap = [-number for number in sides]
        heapq.heapify(heap)
        ways: tuple[list[Call], list[Call]] = ([], [])
        while heap:
            number = -heapq.heappop(heap)
            side = sides[number]
            if side == {0, 1}:
                return Ways(number, *ways)
            call = self.calls[number]
            ways[min(side)].append(call)
            for i in call.inputs:
                if i not in sides:
                    heapq.heappush(heap, -i)
                sides.setdefault(i, set()).update(side)
        return None

    def between(self, starts: Iterable[Tensor], end: Tensor, stop: Iterable[Tensor]) -> list[Call]:
        """The calls through which a tensor depends on some others, latest first.

        Args:
            starts: the others.
            end: the tensor.
            stop: tensors behind which nothing is looked for.
        """
        first = {self.number(x) for x in starts}
        oldest, seen = min(first, default=0), {self.number(x) for x in stop} | first
        frontier, found = [self.number(end)], []
        while frontier:
            number = frontier.pop()
            if number not in seen and number > oldest:
                seen.add(number)
                found.append(number)
                frontier += self.calls[number].inputs
        useful = set(first)
        for number in sorted(found):
            if useful.intersection(self.calls[number].inputs):
                useful.add(number)
        return [self.calls[number] for number in sorted(useful - first, reverse=True)]


def tensors_in(values: Any) -> list[Tensor]:
    """The tensors in a nest of values."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def measurable(x: Tensor) -> bool:
    """Whether a tensor has floating-point numbers in rows and columns, of at least two bytes."""
    plain = x.layout == torch.strided and not x.is_nested and not x.is_meta
    return plain and x.is_floating_point() and x.dtype.itemsize > 1


def values_used(name: str, inputs: list[Tensor]) -> list[Tensor]:
    """The tensors of which a function uses the values, not the shape alone."""
    if name.endswith("_like") or name.startswith("new_"):
        return []
    return inputs[:1] if name in SHAPES else inputs


def name_of(function: Any) -> str:
    """The name of a function of PyTorch, or of the attribute that it reads."""
    name: str = getattr(function, "__name__", str(function))
    return str(function.__self__.__name__) if name == "__get__" else name
