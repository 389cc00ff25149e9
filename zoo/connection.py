"""The core: a residual stream is carried past branches by connections.

Seven words, each with one meaning: `width` (channels), `depth` (what the field counts), `branch`
(a module that computes an update), `site` (where one branch meets the stream), `stream` (what is
carried from site to site), `state` (the tensors that hold a stream), `mix` (coefficients that
`read` computes and `write` needs again).

Shapes: `[B, C, H, W]` images, `[B, T, C]` tokens, `[N, C]` nodes, `[n, ...]` streams.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

State = Any  # a tensor or a (nested) tuple of tensors; passed on, never stored on a module
TensorFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Site:
    """Where on a stream a connection sits.

    Args:
        width: channels that the branch reads.
        out: channels after the write where a stage changes the shape (stride or width); None
            elsewhere.
        index: index of this write in the whole net.
        total: number of writes in the whole net.
        axis: channel axis counted from the right: -1 tokens and nodes, -3 images.
        opened_at: index of the first write after the stream was opened. A stage change at that
            write opens the stream again: a shortcut with weights then maps one tensor, not every
            member of the state.
        wide: whether what reads the closed stream takes `Connection.gives` channels instead of
            `written`, as behind a long skip.
    """

    width: int
    out: int | None = None
    index: int = 0
    total: int = 1
    axis: int = -1
    opened_at: int = 0
    wide: bool = False

    @property
    def written(self) -> int:
        """Channels that the branch writes."""
        return self.width if self.out is None else self.out

    @staticmethod
    def line(width: int, total: int, axis: int = -1) -> list[Site]:
        """The sites of `total` writes in a row on a stream of one width."""
        return [Site(width, None, index, total, axis) for index in range(total)]


class Connection(nn.Module):
    """How a branch reads from a stream and writes to it. A subclass is a rule, with its equation.

    A rule acts pointwise on every axis except channels and streams, so every rule keeps causality
    and the symmetry of graphs. Its attributes declare its properties, which the laws test:

    Attributes:
        init_equals: the stack that a fresh stack of this rule equals with the same branches.
        identity_at_zero: what a stack returns when every branch returns zero: its input
            (`exact`), a multiple of it (`scaled`), the input normed over its channels, maybe
            without their mean (`normed`), or something else (`none`).
        linear: whether the state enters linearly, so that the rule has a mixing matrix.
        whole: whether `close` returns the value that `post` changes, and nothing else.
        carries: whether the written state depends on the old one; if not, a model builds no
            shortcuts.
        inverts: whether the rule implements `invert`; a stack then stores no activations between
            the writes.
    """

    init_equals: ClassVar[Literal["plain", "residual", "identity", "other"]] = "other"
    identity_at_zero: ClassVar[Literal["exact", "scaled", "normed", "none"]] = "none"
    linear: bool = True
    whole: ClassVar[bool] = True
    carries: ClassVar[bool] = True
    inverts: ClassVar[bool] = False

    def __init__(self, site: Site):
        super().__init__()
        self.site = site
        self.reopens = site.index <= site.opened_at  # a number would be compiled for each site

    @property
    def gives(self) -> int:
        """Channels of the closed stream."""
        return self.site.written

    def open(self, x: Tensor) -> State:
        """The state of a fresh stream that holds the tensor; called before the first site."""
        return x

    def read(self, state: State) -> tuple[Tensor, Any]:
        """The branch input, and the coefficients that `write` needs again."""
        return state, None

    def write(self, state: State, y: Tensor, mix: Any) -> State:
        """The next state.

        Args:
            state: as `read` got it, at a stage change mapped by the shortcut.
            y: output of the branch.
            mix: the coefficients from `read`.
        """
        raise NotImplementedError

    def invert(self, state: State, branch: TensorFunction) -> State:
        """The state before a write.

        Args:
            state: the state after the write.
            branch: is called once.
        """
        raise NotImplementedError

    def close(self, state: State) -> Tensor:
        """The tensor that a stream ends as; called after the last site."""
        return state

    def map(self, fn: TensorFunction, state: State) -> State:
        """The state with a function applied to every member, as a shortcut at a stage change is."""
        if isinstance(state, Tensor):
            return fn(state)
        return tuple(self.map(fn, member) for member in state)

    def change(self, shortcut: TensorFunction, state: State) -> State:
        """The state after a stage change: every member mapped, or the stream opened again."""
        if self.reopens:
            return self.open(shortcut(self.close(state)))
        return self.map(shortcut, state)

    def post(self, fn: TensorFunction, state: State) -> State:
        """The state with a function applied to its current value alone, as a post-norm is."""
        return fn(state)

    def forward(
        self,
        state: State,
        branch: Callable[..., Tensor],
        *args: Any,
        shortcut: TensorFunction | None = None,
        **kwargs: Any,
    ) -> State:
        x, mix = self.read(state)
        if shortcut is not None:
            state = self.change(shortcut, state)
        return self.write(state, branch(x, *args, **kwargs), mix)

    def along(self, vector: Tensor) -> Tensor:
        """A view of a vector `[C]` that broadcasts along the channel axis."""
        return vector.view(-1, *[1] * (-self.site.axis - 1))

    def pooled(self, coefficient: Tensor, leading: int = 0) -> Tensor:
        """Dynamic coefficients, averaged over the positions where a stage changes their number.

        Args:
            coefficient: `[..., B, ...]` with a channel axis like the state's.
            leading: number of stream axes before the batch axis.
        """
        channel = coefficient.ndim + self.site.axis
        positions = [d for d in range(leading + 1, coefficient.ndim) if d != channel]
        if self.site.out is None or not positions:
            return coefficient
        return coefficient.mean(positions, keepdim=True)


class Pointwise(nn.Linear):
    """A linear map of the channels at every position.

    Args:
        width: channels in.
        out: channels out.
        axis: channel axis counted from the right.
    """

    def __init__(self, width: int, out: int, axis: int = -1, bias: bool = True):
        super().__init__(width, out, bias)
        self.axis = axis

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.movedim(self.axis, -1)).movedim(-1, self.axis)


Connect = Callable[[Site], Connection]  # a rule with its options, waiting for a site
