"""A stack: branches in a row on one stream, each written by its connection."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from zoo.autograd.checkpointing import checkpointed
from zoo.autograd.reversible import ReversibleWrites, Step, undoable
from zoo.config.sizes import Every
from zoo.connection import Connection, State


class Stack(nn.Module):
    """Branches in a row on one stream: the tensor is opened, written by each site, and closed.

    A `Site` says where on the stream a write takes place, a `Connection` how. The attribute
    `sites` lists the connections, one a site; each has its `Site` as `connection.site`. Branches
    have the same names under every rule.

    Shapes: those of the tensor that branches read, to those of the last write.

    Args:
        branches: modules called as `branch(x, *args, **kwargs)`.
        sites: the connection at each site, one for each branch.
        shortcuts: for each branch the map of the state at a stage change, or None.
        posts: for each branch a function of the value after the write, or None.
        checkpoint: recompute every branch in the backward pass instead of storing its activations;
            with a number k those of index k - 1, 2 k - 1, ... in the whole net.

    Errors:
        ValueError: the lists differ in length; k is more than the writes of the net.

    >>> from zoo.connection import Site
    >>> from zoo.connections.additive import Residual
    >>> stack = Stack([nn.Linear(4, 4)] * 2, [Residual(site) for site in Site.line(4, 2)])
    >>> stack(torch.zeros(3, 4)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        branches: Sequence[nn.Module],
        sites: Sequence[Connection],
        shortcuts: Sequence[nn.Module | None] | None = None,
        posts: Sequence[nn.Module | None] | None = None,
        checkpoint: Every = False,
    ):
        super().__init__()
        nothing: list[nn.Module | None] = [None] * len(branches)
        self.branches = nn.ModuleList(branches)
        self.sites = nn.ModuleList(sites)
        self.shortcuts = nn.ModuleList(shortcuts or nothing)  # type: ignore[arg-type]
        self.posts = nn.ModuleList(posts or nothing)  # type: ignore[arg-type]
        self.checkpoint = checkpoint
        lengths = {len(m) for m in (self.branches, self.sites, self.shortcuts, self.posts)}
        if len(lengths) != 1:
            raise ValueError(f"Stack needs lists of one length, got lengths {sorted(lengths)}")
        writes = max((connection.site.total for connection in sites), default=0)
        if sites and checkpoint > writes:
            raise ValueError(f"checkpoint={checkpoint} is more than the {writes} writes of the net")

    def open(self, x: Tensor) -> State:
        """The state before the first write; the tensor itself in a stack without branches."""
        return self.sites[0].open(x) if len(self.sites) else x  # type: ignore[operator]

    def close(self, state: State) -> Tensor:
        """The tensor after the last write."""
        return self.sites[-1].close(state) if len(self.sites) else state  # type: ignore[operator]

    def steps(self) -> list[Step]:
        """Connection, branch, shortcut and post of every write."""
        return list(zip(self.sites, self.branches, self.shortcuts, self.posts, strict=True))

    def writer(self, connection: Connection) -> Any:
        """A connection, or a function that computes its write again in the backward pass."""
        every = int(self.checkpoint) if torch.is_grad_enabled() else 0
        again = every and (connection.site.index + 1) % every == 0
        return functools.partial(checkpointed, connection) if again else connection

    def states(self, x: Tensor, *args: Any, **kwargs: Any) -> Iterator[State]:
        """Yields the state after `open` and after every write."""
        state = self.open(x)
        yield state
        for connection, branch, shortcut, post in self.steps():
            state = self.writer(connection)(state, branch, *args, shortcut=shortcut, **kwargs)
            if post is not None:
                state = connection.post(post, state)
            yield state

    def values(self, x: Tensor, *args: Any, **kwargs: Any) -> list[Tensor]:
        """The stream's value before the first branch and after every write."""
        return [self.close(state) for state in self.states(x, *args, **kwargs)]

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        state = self.open(x)
        for undone, steps in groupby(self.steps(), key=undoable(*args, *kwargs.values())):
            if undone:
                state = ReversibleWrites(list(steps), state, args, kwargs)()
            else:
                for connection, branch, shortcut, post in steps:
                    writer = self.writer(connection)
                    state = writer(state, branch, *args, shortcut=shortcut, **kwargs)
                    if post is not None:
                        state = connection.post(post, state)
        return self.close(state)
