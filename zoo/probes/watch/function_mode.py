"""Follows a forward pass function by function, and tells which sums are writes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo.connection import Connection, State
from zoo.probes.watch.calls import Call, Calls, measurable, name_of, tensors_in, values_used
from zoo.probes.watch.writes import Terms, Watch, Write

PROJECTION = 2  # functions with weights that a skip may have: a convolution and its norm


class Watched(TorchFunctionMode):
    """Follows a forward pass function by function, and calls a watch at its writes.

    Args:
        watch: called at every write.

    Attributes:
        calls: of all functions so far.
        count: number of writes that have begun.
        done: number of writes to streams so far.
    """

    def __init__(self, watch: Watch):
        super().__init__()
        self.watch = watch
        self.calls = Calls()
        self.count = self.done = 0
        self.paths: list[str] = [""]
        self.reading: dict[Connection, tuple[Write, Tensor]] = {}
        self.written: dict[Connection, Write] = {}
        self.inside = 0  # rules and watches, whose sums are no writes

    def hooks(self, name: str, module: nn.Module) -> Iterator[Any]:
        """The hooks that keep the path of the innermost module that runs."""
        yield module.register_forward_pre_hook(lambda *_: self.paths.append(name))
        yield module.register_forward_hook(lambda *_: self.left(), always_call=True)

    def replacements(self, name: str, module: nn.Module) -> dict[str, Any]:
        """The attributes that a module has instead of its own while it is followed."""
        if not isinstance(module, Connection):
            return {}
        return {
            "inverts": False,
            "open": functools.partial(self.rule, module.open),
            "read": functools.partial(self.read, name, module, module.read),
            "write": functools.partial(self.write, module, module.write),
            "post": functools.partial(self.post, module, module.post),
            "close": functools.partial(self.rule, module.close),
        }

    def left(self) -> None:
        """Takes the innermost module from the path."""
        self.paths.pop()

    def begun(self, module: str, rule: Connection | None = None) -> Write:
        """A write whose branch is about to read."""
        self.count += 1
        return Write(-1, self.count - 1, module, rule)

    def ended(self, write: Write, **calls: Any) -> Write:
        """A write whose branch has ended, with its place in the order of writes."""
        self.done += 1
        return replace(write, index=self.done - 1, **calls)

    def read(
        self, module: str, rule: Connection, read: Callable[..., Any], state: State
    ) -> tuple[Tensor, Any]:
        """What the branch of a connection reads."""
        with self.unwatched():
            x, mix = read(state)
            write = self.begun(module, rule)
            x = self.ask(self.watch.reads, write, x)
            self.reading[rule] = write, x
            return x, mix

    def write(
        self, rule: Connection, write: Callable[..., State], state: State, y: Tensor, mix: Any
    ) -> State:
        """The next state of a connection."""
        with self.unwatched():
            this, x = self.reading.pop(rule)
            branch = self.calls.between([x], y, stop=[])
            this = self.ended(this, branch=tuple(branch), source=self.calls.number(x))
            state, y = self.ask(self.watch.terms, this, Terms(state, y))
            after = write(state, y, mix)
            old, new = tensors_in(state), tensors_in(after)
            skip = [call for end in new[:1] for call in self.calls.between(old, end, stop=[y])]
            self.written[rule] = this = replace(this, skip=tuple(skip))
            return self.ask(self.watch.after, this, after)

    def post(self, rule: Connection, post: Callable[..., State], fn: Any, state: State) -> State:
        """The state after a function that follows a write."""
        return self.ask(self.watch.posted, self.written[rule], post(fn, state))

    def ask(self, watch: Callable[..., Any], write: Write, value: Any) -> Any:
        """What a watch makes of a value, which counts as that value; its calls are no part of the
        pass.
        """
        with torch._C.DisableTorchFunction():
            answer = watch(write, *value) if isinstance(value, Terms) else watch(write, value)
        for new, old in zip(tensors_in(answer), tensors_in(value), strict=False):
            self.calls.numbers.setdefault(new, self.calls.number(old))
        return answer

    def rule(self, method: Callable[[Any], Any], value: Any) -> Any:
        """What a method of a connection gives, in which no sum is a write."""
        with self.unwatched():
            return method(value)

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Takes no sum inside the block for a write."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, options = name_of(func), kwargs or {}
        if torch._C._functorch.peek_interpreter_stack() is not None:  # no values: vmap, grad
            return func(*args, **options)
        inputs = tensors_in((args, options))
        numbers = [self.calls.number(x) for x in values_used(name, inputs)]
        self.watch.calling(name, self.paths[-1], inputs)
        sum_of = None if self.inside or name not in ("add", "add_") else self.sum(*args, **options)
        if sum_of:
            out = self.joined(*sum_of, in_place=args[0] if name == "add_" else None)
        else:
            out = func(*args, **options)
        if made := tensors_in(out):
            call = self.calls.add(name, self.paths[-1], numbers, made)
            self.watch.called(call, inputs, made)
        return out

    def sum(self, *terms: Any, **options: Any) -> tuple[Write, Tensor, Tensor] | None:
        """The write that a sum is, with the stream and what the branch adds; None if it is none."""
        if len(terms) != 2 or options or not all(isinstance(x, Tensor) for x in terms):
            return None
        a, b = terms
        outside = len(self.paths) == 1
        if outside or not measurable(a) or a.shape != b.shape or a.ndim < 2:
            return None
        ways = self.calls.ways(a, b)
        if ways is None:
            return None
        both = ((ways.first, a), (ways.second, b))
        (skip, stream), (branch, y) = sorted(both, key=lambda side: weights(side[0]))
        if weights(skip) == weights(branch) or weights(skip) > PROJECTION:
            return None
        calls: dict[str, Any] = {
            "skip": tuple(skip),
            "branch": tuple(branch),
            "source": ways.source,
        }
        return self.ended(self.begun(self.paths[-1]), **calls), stream, y

    def joined(self, write: Write, skip: Tensor, branch: Tensor, in_place: Tensor | None) -> Tensor:
        """The stream after a sum."""
        with self.unwatched():
            skip, branch = self.ask(self.watch.terms, write, Terms(skip, branch))
            total = self.ask(self.watch.after, write, skip + branch)
            return total if in_place is None else in_place.copy_(total)


def weights(way: Sequence[Call]) -> int:
    """The number of functions with weights on a way."""
    return sum(call.weighted for call in way)
