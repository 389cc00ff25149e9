"""Reversible writes: only the last state is stored, and the backward pass undoes the writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from zoo.autograd.checkpointing import Moment, unchanged_buffers

if TYPE_CHECKING:
    from zoo.connection import State

Step = tuple[Any, ...]  # connection, branch, shortcut and post of a write
Tensors = list[Tensor]
Gradients = list[Tensor | None]  # None for what does not influence the loss


def undoable(*side: Any) -> Callable[[Step], bool]:
    """A function that says whether a write can be undone, instead of storing the state before it.

    None can in a compiled or exported graph, without gradients, or where a side input is a dict
    or list, into which a branch may write for another branch.

    Args:
        side: side inputs of the branches.
    """
    possible = torch.is_grad_enabled() and not torch.compiler.is_compiling()
    possible = possible and not any(isinstance(value, dict | list) for value in side)

    def can_be_undone(step: Step) -> bool:
        connection, _, shortcut, post = step
        return possible and connection.inverts and shortcut is None and post is None

    return can_be_undone


def total(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of two gradients that may be absent."""
    return b if a is None else a if b is None else a + b


class ReversibleWrites:
    """Writes in a row that can be undone, with the side inputs of their branches.

    Args:
        steps: writes that can be undone.
        state: before the first write.
        args: side inputs of every branch; gradients reach the tensors among them.
        kwargs: side inputs of every branch, by name.
    """

    def __init__(self, steps: Sequence[Step], state: State, args: Any, kwargs: Any):
        self.steps = [(connection, branch) for connection, branch, *_ in steps]
        self.opened, self.spec = tree_flatten(state)
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
        parameters = [p for of_write in self.parameters for p in of_write]
        leaves = ReversibleFunction.apply(self, *self.opened, *moving, *parameters)
        return tree_unflatten(list(leaves), self.spec)

    def sides(self, moving: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments and keyword arguments of a branch.

        Args:
            moving: tensors that replace the side inputs that need a gradient.
        """
        side = list(self.side)
        for i, value in zip(self.moving, moving, strict=True):
            side[i] = value
        return tree_unflatten(side, self.side_spec)

    def undo(
        self, index: int, leaves: Sequence[Tensor], grads: Sequence[Tensor], moving: Tensors
    ) -> tuple[Tensors, Tensors, Gradients, Gradients]:
        """Undoes one write and computes its gradients, outside autocast as autograd does.

        Args:
            index: of the write.
            leaves: tensors of the state after it.
            grads: gradients of these leaves.
            moving: replace the side inputs that need a gradient.

        Returns:
            The leaves before the write, and the gradients of these, of `moving` and of the
            parameters of this write.
        """
        connection, branch = self.steps[index]
        args, kwargs = self.sides(moving)
        calls: list[tuple[Tensor, Tensor]] = []

        def traced(x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            with torch.enable_grad():
                y = branch(x, *args, **kwargs)
            calls.append((x, y))
            return y.detach()

        with self.moments[index].again(), unchanged_buffers(connection, branch):
            with torch.no_grad():
                state = connection.invert(tree_unflatten(list(leaves), self.spec), traced)
            before = [leaf.detach().requires_grad_() for leaf in tree_leaves(state)]
            state = tree_unflatten(before, self.spec)
            ((x, y),) = calls
            with torch.enable_grad():
                read, mix = connection.read(state)
                after = tree_leaves(connection.write(state, y, mix))
        inputs = [*before, x, *moving, *self.parameters[index]]
        gradients: Sequence[Tensor | None] = torch.autograd.grad(
            after, inputs, grads, retain_graph=True, allow_unused=True
        )
        direct, (at_read, *others) = gradients[: len(before)], gradients[len(before) :]
        if at_read is not None:
            through = torch.autograd.grad(read, before, at_read, allow_unused=True)
            direct = [total(*pair) for pair in zip(direct, through, strict=True)]
        above = [
            torch.zeros_like(t) if g is None else g for t, g in zip(before, direct, strict=True)
        ]
        return [t.detach() for t in before], above, others[: len(moving)], others[len(moving) :]


class ReversibleFunction(torch.autograd.Function):
    """Writes of which only the last state is stored; the backward pass undoes one after another.

    Parameters are inputs of the function, so their gradients are accumulated as always and hooks
    of the accumulation (DistributedDataParallel) run once. A tensor hook on a parameter sees the
    gradient from its branch first and the sum afterwards.
    """

    @staticmethod
    def forward(ctx: Any, writes: ReversibleWrites, *inputs: Tensor) -> tuple[Tensor, ...]:
        state = tree_unflatten(list(inputs[: len(writes.opened)]), writes.spec)
        args, kwargs = tree_unflatten(writes.side, writes.side_spec)
        for connection, branch in writes.steps:
            writes.moments.append(Moment(inputs[0]))
            with writes.moments[-1].autocast():
                state = connection(state, branch, *args, **kwargs)
        end = tree_leaves(state)
        ctx.writes, writes.opened = writes, []
        ctx.save_for_backward(*end, *inputs[len(end) :])
        return tuple(end)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        writes: ReversibleWrites = ctx.writes
        saved = ctx.saved_tensors  # with parameters: autograd refuses those changed in between
        leaves, above = list(saved[: len(grads)]), list(grads)
        moving = [t.detach().requires_grad_() for t in saved[len(grads) :][: len(writes.moving)]]
        sides: Gradients = [None] * len(moving)
        parameters: list[Gradients] = []
        for index in reversed(range(len(writes.steps))):
            leaves, above, side, of_write = writes.undo(index, leaves, above, moving)
            sides = list(map(total, sides, side))
            parameters.insert(0, of_write)
        return None, *above, *sides, *(g for of_write in parameters for g in of_write)
