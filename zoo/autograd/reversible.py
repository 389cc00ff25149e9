"""Writes that can be undone: a stack keeps the last state and walks back in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from zoo.autograd.checkpointing import Moment, kept_buffers

if TYPE_CHECKING:
    from zoo.connection import State

Step = tuple[Any, ...]  # site, branch, shortcut and post of a write
Tensors = list[Tensor]
Found = list[Tensor | None]  # gradients, where there are any


def undoable(*side: Any) -> Callable[[Step], bool]:
    """A predicate of writes: whether a stack may undo one instead of keeping the state before it.

    Never in a compiled or exported graph, without gradients, or where a side input is a dict or
    list: a branch may write into it for another branch.

    Args:
        side: what the branches take beside the stream.
    """
    possible = torch.is_grad_enabled() and not torch.compiler.is_compiling()
    possible = possible and not any(isinstance(value, dict | list) for value in side)

    def bare(step: Step) -> bool:
        site, _, shortcut, post = step
        return possible and site.inverts and shortcut is None and post is None

    return bare


def total(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of two gradients that may be absent."""
    return b if a is None else a if b is None else a + b


class Run:
    """Writes in a row that can be undone, with the side inputs of their branches.

    Args:
        steps: writes that can be undone.
        state: before the first write.
        args: side inputs of every branch; gradients reach the tensors among them.
        kwargs: side inputs of every branch, by name.
    """

    def __init__(self, steps: Sequence[Step], state: State, args: Any, kwargs: Any):
        self.steps = [(site, branch) for site, branch, *_ in steps]
        self.start, self.spec = tree_flatten(state)
        self.side, self.side_spec = tree_flatten((args, kwargs))
        self.moving = [
            i for i, v in enumerate(self.side) if isinstance(v, Tensor) and v.requires_grad
        ]
        self.parameters = [
            [p for module in step for p in module.parameters() if p.requires_grad]
            for step in self.steps
        ]
        self.moments: list[Moment] = []

    def __call__(self) -> State:
        """The state after the last write."""
        moving = [self.side[i] for i in self.moving]
        parameters = [p for own in self.parameters for p in own]
        return tree_unflatten(
            list(Reversed.apply(self, *self.start, *moving, *parameters)), self.spec
        )

    def sides(self, moving: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The side inputs with these in place of those that need a gradient."""
        side = list(self.side)
        for i, value in zip(self.moving, moving, strict=True):
            side[i] = value
        return tree_unflatten(side, self.side_spec)

    def undo(
        self, index: int, leaves: Sequence[Tensor], grads: Sequence[Tensor], moving: Tensors
    ) -> tuple[Tensors, Tensors, Found, Found]:
        """One write taken back; gradients are taken outside autocast, as those of other writes.

        Args:
            index: of the write.
            leaves: of the state after it.
            grads: of these leaves.
            moving: stand-ins of the side inputs that need a gradient.

        Returns:
            The leaves before the write, and the gradients of these, of `moving` and of the
            parameters of this write.
        """
        site, branch = self.steps[index]
        args, kwargs = self.sides(moving)
        calls: list[tuple[Tensor, Tensor]] = []

        def traced(x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            with torch.enable_grad():
                y = branch(x, *args, **kwargs)
            calls.append((x, y))
            return y.detach()

        with self.moments[index].again(), kept_buffers(site, branch):
            with torch.no_grad():
                state = site.invert(tree_unflatten(list(leaves), self.spec), traced)
            before = [leaf.detach().requires_grad_() for leaf in tree_leaves(state)]
            state = tree_unflatten(before, self.spec)
            ((x, y),) = calls
            with torch.enable_grad():
                read, mix = site.read(state)
                after = tree_leaves(site.write(state, y, mix))
        inputs = [*before, x, *moving, *self.parameters[index]]
        found: Sequence[Tensor | None] = torch.autograd.grad(
            after, inputs, grads, retain_graph=True, allow_unused=True
        )
        direct, (at_read, *others) = found[: len(before)], found[len(before) :]
        if at_read is not None:
            through = torch.autograd.grad(read, before, at_read, allow_unused=True)
            direct = [total(*pair) for pair in zip(direct, through, strict=True)]
        above = [
            torch.zeros_like(t) if g is None else g for t, g in zip(before, direct, strict=True)
        ]
        return [t.detach() for t in before], above, others[: len(moving)], others[len(moving) :]


class Reversed(torch.autograd.Function):
    """A run that keeps its last state only and walks back from it in the backward pass.

    Parameters are inputs of the function, so their gradients are accumulated as always and hooks
    of the accumulation (DistributedDataParallel) run once. A tensor hook on a parameter sees the
    part of its branch first and the sum afterwards.
    """

    @staticmethod
    def forward(ctx: Any, run: Run, *inputs: Tensor) -> tuple[Tensor, ...]:
        state = tree_unflatten(list(inputs[: len(run.start)]), run.spec)
        args, kwargs = tree_unflatten(run.side, run.side_spec)
        for site, branch in run.steps:
            run.moments.append(Moment(inputs[0]))
            with run.moments[-1].autocast():
                state = site(state, branch, *args, **kwargs)
        end = tree_leaves(state)
        ctx.run, run.start = run, []
        ctx.save_for_backward(*end, *inputs[len(end) :])
        return tuple(end)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        run: Run = ctx.run
        saved = ctx.saved_tensors  # with parameters: autograd refuses those changed in between
        leaves, above = list(saved[: len(grads)]), list(grads)
        moving = [t.detach().requires_grad_() for t in saved[len(grads) :][: len(run.moving)]]
        sides: Found = [None] * len(moving)
        owned: list[Found] = []
        for index in reversed(range(len(run.steps))):
            leaves, above, side, own = run.undo(index, leaves, above, moving)
            sides = list(map(total, sides, side))
            owned.insert(0, own)
        return None, *above, *sides, *(g for own in owned for g in own)
