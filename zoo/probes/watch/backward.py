"""The gradients of a loss, which leave no trace at the weights, and none at the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from zoo.errors import ConfigError
from zoo.probes.watch.calls import measurable
from zoo.probes.watch.untouched import parts_of


def scalar(result: Any) -> Tensor:
    """What a loss gives, without axes.

    Errors:
        ConfigError: it is no scalar tensor.
    """
    if not isinstance(result, Tensor) or result.numel() != 1:
        shape = f"shape {tuple(result.shape)}" if isinstance(result, Tensor) else type(result)
        raise ConfigError(f"a loss of {shape}", "loss", "return a scalar tensor")
    return result.reshape(()) if result.ndim else result


class Given:
    """Gives a net copies of what enters it from outside, which need a gradient.

    Attributes:
        leaves: what the gradient comes to in the end, where that is no weight.
    """

    def __init__(self) -> None:
        self.leaves: list[Tensor] = []
        self.depth = 0  # of modules that run

    def enter(self, part: nn.Module, args: Any, kwargs: Any) -> Any:
        """The arguments with which a module runs instead of its own."""
        self.depth += 1
        if self.depth > 1 or not torch.is_grad_enabled():
            return args, kwargs
        copies: dict[int, Tensor] = {}  # one of each tensor, so that equal ones stay so

        def copy(x: Tensor) -> Tensor:
            if id(x) not in copies:
                copies[id(x)] = self.copy(x)
            return copies[id(x)]

        with torch._C.DisableTorchFunction():
            given: Any = tree_map_only(Tensor, copy, (args, kwargs))
        return given

    def copy(self, x: Tensor) -> Tensor:
        """A copy that needs a gradient; the tensor itself where it cannot have one, or has one."""
        if x.requires_grad or not measurable(x):
            self.leaves += [x] if x.requires_grad and x.is_leaf else []
            return x
        self.leaves.append(x.detach().requires_grad_())
        return self.leaves[-1].clone()

    def leave(self, *_: Any) -> None:
        """Notes that a module has run."""
        self.depth -= 1


@contextmanager
def differentiated(module: nn.Module) -> Iterator[Given]:
    """A context for a pass with gradients, also by dense floating-point tensors that enter a net.

    The net gets copies and may change them in place. What the loss alone reads, such as labels,
    needs none.
    """
    given = Given()
    with ExitStack() as contexts:
        if torch.is_inference_mode_enabled():
            contexts.enter_context(torch.inference_mode(False))
        contexts.enter_context(torch.enable_grad())
        for part in parts_of(module).values():
            contexts.callback(part.register_forward_pre_hook(given.enter, with_kwargs=True).remove)
            contexts.callback(part.register_forward_hook(given.leave, always_call=True).remove)
        yield given


def gradients_of(loss: Tensor, module: nn.Module, given: Given) -> dict[str, Tensor]:
    """The dense gradients of a loss by the parameters of a net, by name, where there are any.

    Nothing is accumulated, and so no hook runs that waits for that, such as one that steps.
    """
    if not loss.requires_grad:
        return {}
    weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
    ends = [*weights.values(), *given.leaves]
    with torch._C.DisableTorchFunction():
        values: Sequence[Tensor | None] = torch.autograd.grad(loss, ends, allow_unused=True)
    return {
        name: value if value.layout == torch.strided else value.to_dense()
        for name, value in zip(weights, values, strict=False)
        if value is not None
    }
