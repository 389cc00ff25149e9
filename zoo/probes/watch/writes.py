"""Every write of a branch to a stream in a forward pass, of any net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from zoo.connection import Connection, State
from zoo.probes.watch.calls import Call


@dataclass(frozen=True)
class Write:
    """Where one branch meets its stream.

    Args:
        index: of the write in the order in which streams are written; unknown, -1, when its branch
            reads. A branch that holds writes of its own is written after them.
        key: the same from the reading to the end of the write.
        module: path of what writes: the connection, or the innermost module around a sum.
        rule: the connection; None of a sum.
        skip: functions on the way from the last common value to the sum, on the skip; of a
            connection from the old state to the new one, known after the write.
        branch: functions on the way from there to what is written.
        source: number of the call that made what the branch reads.
    """

    index: int
    key: int
    module: str
    rule: Connection | None = None
    skip: tuple[Call, ...] = ()
    branch: tuple[Call, ...] = ()
    source: int = -1

    @property
    def identity(self) -> bool:
        """Whether a sum's skip brings the stream as it was."""
        return self.rule is None and not self.skip

    def value(self, state: State) -> Tensor:
        """The value of a stream in some state."""
        return state if self.rule is None else self.rule.close(state)


class Terms(NamedTuple):
    """The state of a stream, and what a branch writes to it."""

    state: State
    branch: Tensor


class Watch:
    """What is done at every write of a pass; this one does nothing."""

    def reads(self, write: Write, x: Tensor) -> Tensor:
        """What the branch of a connection reads; called before the branch, not for sums."""
        return x

    def terms(self, write: Write, state: State, branch: Tensor) -> tuple[State, Tensor]:
        """The state and the branch's output that are joined."""
        return state, branch

    def after(self, write: Write, state: State) -> State:
        """The state with which the net goes on."""
        return state

    def posted(self, write: Write, state: State) -> State:
        """The state after what a stack does to it after a write, such as a norm; where it does."""
        return state

    def calling(self, name: str, module: str, inputs: Sequence[Tensor]) -> None:
        """What is done before every call of a function, which may change what it takes.

        Args:
            name: of the function.
            module: path of the innermost module that calls it.
            inputs: the tensors that it takes.
        """

    def called(self, call: Call, inputs: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        """What is done after every call of a function, with the tensors it took and made."""
