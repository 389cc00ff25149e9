"""Several models of one shape as one: a single forward and backward pass for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_map, tree_unflatten

Inputs = tuple[tuple[Any, ...], dict[str, Any]]  # positional and named arguments of a call


def signature(inputs: Inputs) -> tuple[TreeSpec, list[Any]]:
    """What the inputs of calls must share to be stacked: shapes and kinds of tensors, the rest."""
    leaves, spec = tree_flatten(inputs)
    kinds = [(x.shape, x.dtype, x.device) if isinstance(x, Tensor) else x for x in leaves]
    return spec, kinds


class Stacked:
    """Models of one architecture, whose weights are copied together for every pass.

    The models stay what they are: they can train on alone, or with others. Statistics that a pass
    changes are copied back. Buffers that no checkpoint keeps, such as tables of positions, are
    taken to be alike and are those of the first model.

    Args:
        models: on one device.
    """

    def __init__(self, models: Sequence[nn.Module]):
        self.models = models
        parameters = [dict(model.named_parameters()) for model in models]
        kept = models[0].state_dict(keep_vars=True).keys()
        statistics = [{n: b for n, b in m.named_buffers() if n in kept} for m in models]
        self.parameters, self.weights = stacked(parameters)
        self.statistics, self.buffers = stacked(statistics)
        for name, parameter in parameters[0].items():
            self.parameters[name].requires_grad_(parameter.requires_grad)

    def forward(self, inputs: Sequence[Inputs]) -> Pass:
        """Computes what each model gives for its inputs, by `torch.func.vmap`.

        Args:
            inputs: of each model, of one signature.

        Errors:
            RuntimeError, ValueError: something in the model has no rule for several at once, such
                as a random draw.
        """
        copy(self.weights)
        copy(self.buffers)
        calls = [tree_flatten(each) for each in inputs]
        leaves = [
            torch.stack(same) if isinstance(same[0], Tensor) else same[0]
            for same in zip(*(leaves for leaves, _ in calls), strict=True)
        ]
        axes = tuple(0 if isinstance(leaf, Tensor) else None for leaf in leaves)

        def call(parameters: Any, statistics: Any, *leaves: Any) -> Any:
            args, kwargs = tree_unflatten(leaves, calls[0][1])
            return functional_call(self.models[0], (parameters, statistics), args, kwargs)

        with UsualOrder(), plain_attention(next(iter(self.parameters.values())).device):
            called = vmap(call, in_dims=(0, 0, *axes), randomness="error")
            answer = called(self.parameters, self.statistics, *leaves)
        copy([(own, part) for part, own in self.buffers])
        return Pass(self, answer)


class Pass:
    """A forward pass of several models, and the backward pass that follows it.

    Args:
        models: that were called.
        answer: of all of them, a tree of tensors `[N, ...]` with their graph.

    Attributes:
        answers: of each model, whose own graph begins there: a loss made of it ends there.
    """

    def __init__(self, models: Stacked, answer: Any):
        self.models = models
        self.wholes = [whole for whole in tree_flatten(answer)[0] if whole.requires_grad]

        def part(number: int) -> Any:
            return tree_map(
                lambda whole: whole.detach()[number].requires_grad_(whole.requires_grad), answer
            )

        self.answers = [part(number) for number in range(len(models.models))]

    def backward(self) -> None:
        """Turns the gradients of the answers into those of the weights, added to earlier ones.

        A model whose answer has none, since its run has ended meanwhile, is left as it is.
        """
        parts = [
            [part for part in tree_flatten(answer)[0] if part.requires_grad]
            for answer in self.answers
        ]
        wanted = {n: p for n, p in self.models.parameters.items() if p.requires_grad}
        above = [torch.stack([gradient(x) for x in same]) for same in zip(*parts, strict=True)]
        found = torch.autograd.grad(self.wholes, [*wanted.values()], above, allow_unused=True)
        first = self.models.models[0]
        below = [
            None if whole is None else in_order_of(first.get_parameter(name), whole)
            for name, whole in zip(wanted, found, strict=True)
        ]
        for number, model in enumerate(self.models.models):
            if any(part.grad is not None for part in parts[number]):
                for name, whole in zip(wanted, below, strict=True):
                    if whole is not None:
                        add(model.get_parameter(name), whole[number])


class UsualOrder(TorchFunctionMode):
    """Within, images lie in memory channel by channel, the only order that `vmap` can check."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.contiguous:
            return func(args[0])
        if func is F.group_norm:
            args = (args[0].contiguous(), *args[1:])
        return func(*args, **(kwargs or {}))


def plain_attention(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Has attention on a CPU computed by matrix products; `vmap` knows the kernels of GPUs."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else contextlib.nullcontext()


def stacked(
    named: Sequence[dict[str, Any]],
) -> tuple[dict[str, Tensor], list[tuple[Tensor, Tensor]]]:
    """Room for the named tensors of several models, `[N, ...]` each.

    Returns:
        It by name, and pairs of a part of it and the tensor of a model that belongs there.
    """
    rooms = {name: torch.stack([each[name].detach() for each in named]) for name in named[0]}
    pairs = [(rooms[name][n], each[name]) for n, each in enumerate(named) for name in rooms]
    return rooms, pairs


def copy(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Copies the second of each pair of tensors into the first."""
    if pairs:
        to, values = zip(*((to.detach(), value.detach()) for to, value in pairs), strict=True)
        torch._foreach_copy_(to, values)


def gradient(x: Tensor) -> Tensor:
    """The gradient of a tensor, zero where it has none."""
    return torch.zeros_like(x) if x.grad is None else x.grad


def in_order_of(parameter: Tensor, whole: Tensor) -> Tensor:
    """Gradients `[N, ...]` that lie in memory as the parameter: optimisers rely on that."""
    if whole[0].stride() == parameter.stride():
        return whole
    strides = (parameter.numel(), *parameter.stride())
    return whole.new_empty_strided(whole.shape, strides).copy_(whole)


def add(parameter: nn.Parameter, more: Tensor) -> None:
    """Adds to the gradient of a parameter."""
    parameter.grad = more if parameter.grad is None else parameter.grad + more
