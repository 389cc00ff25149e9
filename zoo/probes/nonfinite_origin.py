"""Finds the weights, the module or the gradient whose numbers first are not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def is_finite(value: Any) -> bool:
    """Whether all floating point numbers in a tensor, or in a nest of them, are finite."""
    tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    return all(bool(t.isfinite().all()) for t in tensors if t.is_floating_point())


def first_of(names: Sequence[str]) -> str:
    """The first of some names and the number of the others; empty without any name.

    >>> first_of(["a", "b", "c"])
    'a and 2 others'
    """
    others = f" and {len(names) - 1} others" if len(names) > 1 else ""
    return f"{names[0]}{others}" if names else ""


def origin_of_non_finite(model: nn.Module, loss: Callable[[], Tensor]) -> str:
    """Where a model's numbers stop being finite in one forward and backward pass, in words.

    The order of the search: weights; the first module to end that turns finite inputs into an
    output that is not finite; the loss; the output nearest to the loss whose gradient is not
    finite; weights whose gradient is not. Gradients of the weights are gone afterwards; running
    statistics and random states move on.

    Args:
        model: the net.
        loss: computes the training loss with it, a scalar.

    Returns:
        A few words, such as `first in the output of stages.0.branch`; empty if all is finite.
    """
    parameters = model.named_parameters(prefix="model")
    lost = [name for name, value in parameters if not is_finite(value)]
    if lost:
        return f"the update before it lost the weights {first_of(lost)}"
    outputs: list[str] = []
    gradients: list[str] = []
    inputs: list[bool] = []

    def look(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            fed = is_finite((args, kwargs))
            if module is model:
                inputs.append(fed)
            if fed and not is_finite(output):
                outputs.append(name)
            for leaf in tree_leaves(output):
                if isinstance(leaf, Tensor) and leaf.requires_grad:
                    leaf.register_hook(lambda g: None if is_finite(g) else gradients.append(name))

        return hook

    modules: Iterable[tuple[str, nn.Module]] = model.named_modules(prefix="model")
    with ExitStack() as hooks:
        for name, module in modules:
            handle = module.register_forward_hook(look(name), with_kwargs=True)
            hooks.callback(handle.remove)
        value = loss()
        value.backward()  # whatever is lost already: processes may wait for each other in it
    parameters = model.named_parameters(prefix="model")
    steep = [name for name, weight in parameters if not is_finite(weight.grad)]
    model.zero_grad()
    if not all(inputs):
        return "the batch itself is not finite"
    if outputs:
        return f"first in the output of {outputs[0]}"
    if not is_finite(value):
        return "first in the loss, of finite outputs"
    if gradients:
        return f"first in the gradient of the output of {gradients[0]}"
    return f"first in the gradient of the weights {first_of(steep)}" if steep else ""
