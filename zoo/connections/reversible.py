"""Rules whose writes can be undone, so that a stack keeps no activations between them."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.connection import Connection, TensorFunction

TwoStreams = tuple[Tensor, Tensor]


class Reversible(Connection):
    r"""Two streams take turns: a branch reads one and adds to the other.

    Equation: (a', b') = (b, a + F(b)), undone by (a, b) = (b' - F(a'), a')
    State: a pair, opened as (x, x) and closed by the mean.
    Start: a branch reads x and every second output before it; x and half of all are closed.
    Cost: no parameters; a second forward pass while training. The activations kept do not grow
        with depth over writes without shortcut and post; compiled and exported graphs, and calls
        with a dict or list as side input (branches may write into it), keep them all.
    Source: Gomez et al. 2017, arXiv:1707.04585, eq. 6-7 (two writes are one block); for graphs Li
        et al. 2021, arXiv:2106.07476, the grouped block with two groups. There the channels are
        halved, here both streams have all of them.

    Args:
        site: where it sits on the stream.

    >>> from zoo.connection import Site
    >>> Reversible(Site(width=1)).write((torch.ones(1), torch.zeros(1)), torch.ones(1), None)
    (tensor([0.]), tensor([2.]))
    """

    identity_at_zero = "exact"
    inverts = True

    def open(self, x: Tensor) -> TwoStreams:
        if torch.is_autocast_enabled(x.device.type):  # sums and differences must cancel
            x = x.to(torch.promote_types(x.dtype, torch.float32))
        return x, x

    def read(self, state: TwoStreams) -> tuple[Tensor, None]:
        return state[1], None

    def write(self, state: TwoStreams, y: Tensor, mix: None) -> TwoStreams:
        a, b = state
        return b, a + y

    def invert(self, state: TwoStreams, branch: TensorFunction) -> TwoStreams:
        b, sum_ = state
        return sum_ - branch(b), b

    def close(self, state: TwoStreams) -> Tensor:
        a, b = state
        return (a + b) / 2

    def post(self, fn: TensorFunction, state: TwoStreams) -> TwoStreams:
        a, b = fn(torch.cat(state)).chunk(2)
        return a, b
