"""A stream that is followed through a net: its values, what every block adds, and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from zoo.connection import Connection
from zoo.probes.watch.untouched import replaced
from zoo.stack import Stack


@dataclass
class Path:
    """The way of a stream through a net.

    Attributes:
        moves: zeros that were added to the stream before every block.
        updates: F of every block, or None where it changes the shape of the stream.
        values: of the stream, before the first block and after every one.
    """

    moves: list[Tensor] = field(default_factory=list, init=False)
    updates: list[Tensor | None] = field(default_factory=list, init=False)
    values: list[Tensor] = field(default_factory=list, init=False)

    def moved(self, x: Tensor) -> Tensor:
        """The stream, moved by nothing, so that its gradient is known."""
        self.moves.append(torch.zeros_like(x, requires_grad=torch.is_grad_enabled()))
        return x + self.moves[-1]

    def forget(self) -> None:
        """Begins a pass."""
        self.moves, self.updates, self.values = [], [], []


@dataclass
class StackPath(Path):
    """The way of a stream through a `Stack`."""

    stack: Stack

    def followed(self) -> Any:
        """A context in which a pass of the net is followed."""
        self.forget()
        return replaced(self.stack, "forward", self.follow)

    def follow(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The stack's output, noting what happens on the way."""
        stack, steps = self.stack, self.stack.steps()
        state = stack.open(self.moved(x))
        self.values.append(stack.close(state).detach())
        for number, (connection, branch, shortcut, post) in enumerate(steps, 1):
            noted = self.noting(branch, connection)
            state = connection(state, noted, *args, shortcut=shortcut, **kwargs)
            if post is not None:
                state = connection.post(post, state)
            self.values.append(connection.close(state).detach())
            if number < len(steps):
                state = connection.post(self.moved, state)
        return stack.close(state)

    def noting(self, branch: nn.Module, connection: Connection) -> Callable[..., Tensor]:
        """A branch that notes its output."""

        def noted(*args: Any, **kwargs: Any) -> Tensor:
            y = branch(*args, **kwargs)
            self.updates.append(y.detach() if connection.site.out is None else None)
            return y

        return noted

    def ended(self, depth: int) -> Any:
        """A context in which the stack ends after so many writes."""
        return replaced(self.stack, "forward", lambda *args, **kwargs: self.values[depth])


@dataclass
class BlockPath(Path):
    """The way of a stream through modules of a foreign net."""

    blocks: Sequence[nn.Module]

    @contextmanager
    def followed(self) -> Iterator[None]:
        """A context in which a pass of the net is followed."""
        self.forget()
        with ExitStack() as hooks:
            for block in self.blocks:
                hooks.callback(block.register_forward_pre_hook(self.before).remove)
                hooks.callback(block.register_forward_hook(self.after).remove)
            yield

    def before(self, block: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Moves the input of a block."""
        if not self.values:
            self.values.append(args[0].detach())
        return (self.moved(args[0]), *args[1:])

    def after(self, block: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """Notes what a block has done."""
        same = output.shape == args[0].shape
        self.updates.append((output - args[0]).detach() if same else None)
        self.values.append(output.detach())

    @contextmanager
    def ended(self, depth: int) -> Iterator[None]:
        """A context in which the blocks behind a depth do nothing."""
        with ExitStack() as idle:
            for block in self.blocks[depth:]:
                idle.enter_context(replaced(block, "forward", lambda x, *args, **kwargs: x))
            yield
