"""The size of a stream and of what branches write to it, and the gradient of both, by depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook
from torch.nn.functional import cosine_similarity

from zoo.connection import State
from zoo.probes.pieces import pieces, square_sum, together
from zoo.probes.watch.backward import differentiated, gradients_of, scalar
from zoo.probes.watch.calls import tensors_in
from zoo.probes.watch.untouched import Loss
from zoo.probes.watch.watched import watched
from zoo.probes.watch.writes import Watch, Write


@dataclass(frozen=True)
class StreamProfile:
    r"""What happens at each of the L writes of a net; x_l is the stream before write l, y_l what
    its branch adds.

    Args:
        modules: paths of what writes, L of them.
        stream: `[L + 1]`, root mean square of x_0 ... x_L; x_L is what the last write leaves.
        branch: `[L]`, root mean square of y_l.
        cosine: `[L]`, mean cosine of x_l and y_l over examples; NaN where their shapes differ.
        gradient: `[L + 1]`, norm of the gradient of the loss at x_0 ... x_L.
        branch_gradient: `[L]`, norm of the part of it that comes to x_l through the branch.
    """

    modules: list[str]
    stream: Tensor
    branch: Tensor
    cosine: Tensor
    gradient: Tensor
    branch_gradient: Tensor

    @property
    def ratio(self) -> Tensor:
        """`[L]`, the size of what is written over that of the stream."""
        return self.branch / self.stream[:-1]


def stream_profile(module: nn.Module, batch: Any, loss: Loss) -> StreamProfile:
    r"""The sizes and gradients of a net's stream and branches by depth, of one pass.

    Equation: |x_l|, |y_l|, cos(x_l, y_l); |dL/dx_l| = |(I + dy_l/dx_l)^T dL/dx_{l+1}| of a residual
        write, whose second term is the branch's part
    Source: He et al. 2016, arXiv:1603.05027, equation 5; sizes by De and Smith 2020,
        arXiv:2002.10444, section 2

    Of a stage whose writes change the shape, x_l is taken as the skip brings it; of a rule with
    several streams it is the closed value, and the gradient is that of the whole state. What a
    stack does after a write, such as a norm, is done in x_{l+1}. Where branches hold writes of
    their own, as in a U-Net, l counts streams as they are written: inner ones come first.

    Args:
        module: the net, in the mode in which it is to be judged.
        batch: what `loss` takes.
        loss: gives a scalar, of the net and the batch.

    Errors:
        ConfigError: the loss is no scalar tensor.
        ValueError: the net has no write.

    >>> from zoo.connection import Site
    >>> from zoo.connections.additive import Residual
    >>> from zoo.stack import Stack
    >>> net = Stack([nn.Identity()] * 3, [Residual(site) for site in Site.line(2, 3)])
    >>> profile = stream_profile(net, torch.ones(1, 2), lambda net, x: net(x).sum())
    >>> profile.stream.tolist(), profile.ratio.tolist()
    ([1.0, 2.0, 4.0, 8.0], [1.0, 1.0, 1.0])
    """
    watch = Sizes()
    with watched(module, watch), differentiated(module) as given:
        gradients_of(scalar(loss(module, batch)), module, given)
    if not watch.modules:
        raise ValueError("the net has no skip: no connection, and no sum of a value and its branch")
    return watch.profile()


def size(x: Tensor) -> Tensor:
    """The root mean square of a tensor."""
    return (square_sum(x) / x.numel()).sqrt()


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """The norm of some tensors together."""
    return together([square_sum(x) for x in tensors]).double().sum().sqrt()


class Sizes(Watch):
    """Collects what a `StreamProfile` holds, as numbers on the device of the net."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.keys: list[int] = []  # of the writes, in the order of `modules`
        self.numbers: dict[tuple[str, int], Tensor] = {}
        self.flowing: dict[int, list[Tensor]] = {}  # gradients after a sum, until its stream's come

    def reads(self, write: Write, x: Tensor) -> Tensor:
        self.read_alone(write, x)
        alias = x.view_as(x)  # has the gradient of the branch alone
        self.on_gradient([alias], lambda g: self.keep("branch_gradient", write, norm(g)))
        return alias

    def read_alone(self, write: Write, x: Tensor) -> None:
        """Notes the gradient at a stream that goes on by the branch alone."""
        if write.rule is not None and not write.rule.carries:
            self.on_gradient([x], lambda g: self.keep("gradient", write, norm(g)))

    def terms(self, write: Write, state: State, branch: Tensor) -> tuple[State, Tensor]:
        value = write.value(state).detach()
        self.modules.append(write.module)
        self.keys.append(write.key)
        self.keep("stream", write, size(value))
        self.keep("branch", write, size(branch))
        self.compare(write, value, branch.detach())
        self.on_gradient(tensors_in(state), lambda g: self.reached(write, g))
        return state, branch

    def compare(self, write: Write, value: Tensor, branch: Tensor) -> None:
        """Notes the cosine of a stream and what is written to it."""
        if value.shape == branch.shape:
            parts = zip(pieces(value), pieces(branch), strict=True)
            cosines = [
                cosine_similarity(x.double().flatten(1), y.double().flatten(1), dim=1)
                for x, y in parts
            ]
            self.keep("cosine", write, torch.cat(cosines).mean())

    def after(self, write: Write, state: State) -> State:
        self.last = write
        self.keep("stream left", write, size(write.value(state)))
        self.on_gradient(tensors_in(state), lambda g: self.left(write, g))
        return state

    def posted(self, write: Write, state: State) -> State:
        self.keep("stream posted", write, size(write.value(state)))
        self.on_gradient(tensors_in(state), lambda g: self.keep("gradient posted", write, norm(g)))
        return state

    def left(self, write: Write, gradients: list[Tensor]) -> None:
        """Notes the gradient at a stream right after a write."""
        self.keep("gradient left", write, norm(gradients))
        if write.identity:
            self.flowing[write.key] = gradients

    def reached(self, write: Write, gradients: list[Tensor]) -> None:
        """Notes the gradient at a stream before a write."""
        self.keep("gradient", write, norm(gradients))
        if write.key in self.flowing:
            (past,), (whole,) = self.flowing.pop(write.key), gradients
            self.keep("branch_gradient", write, norm([whole - past]))

    def on_gradient(self, tensors: list[Tensor], use: Callable[[list[Tensor]], None]) -> None:
        """Calls a function with the gradients of some tensors, once all have come."""
        tensors = [x for x in tensors if x.requires_grad]
        if len(tensors) == 1:
            tensors[0].register_hook(lambda g: use([g]))
        elif tensors:
            register_multi_grad_hook(tensors, lambda g: use([x for x in g if x is not None]))

    def keep(self, name: str, write: Write, value: Tensor) -> None:
        """Keeps a number of a write."""
        self.numbers[name, write.key] = value

    def row(self, name: str) -> list[Tensor]:
        """A number of every write, in the order in which streams are written."""
        first = next(iter(self.numbers.values()))
        unknown = first.new_tensor(torch.nan)
        return [self.numbers.get((name, key), unknown) for key in self.keys]

    def profile(self) -> StreamProfile:
        """The profile of the pass."""
        return StreamProfile(
            self.modules,
            stream=together([*self.row("stream"), self.end("stream")]).cpu(),
            branch=together(self.row("branch")).cpu(),
            cosine=together(self.row("cosine")).cpu(),
            gradient=together([*self.row("gradient"), self.end("gradient")]).cpu(),
            branch_gradient=together(self.row("branch_gradient")).cpu(),
        )

    def end(self, name: str) -> Tensor:
        """A number of the stream at its end, after what a stack does after the last write."""
        left = self.numbers["stream left", self.last.key].new_tensor(torch.nan)
        for when in ("left", "posted"):
            left = self.numbers.get((f"{name} {when}", self.last.key), left)
        return left
