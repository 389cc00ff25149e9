"""A net is as it was before it was probed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Loss = Callable[[nn.Module, Any], Tensor]  # what probes take: a scalar, of a net and a batch


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Leaves a net and the random states as they were, whatever happens inside the block.

    Restored are the buffers, the gradients, the mode of every module, which parameters need a
    gradient, and the random states of Python, NumPy, PyTorch and of generators that modules hold,
    as they are or in a dictionary. Inside, no parameter has a gradient yet.

    Args:
        module: the net. Its parameters are not copied: nothing inside may change them.
    """
    parameters = list(module.parameters())
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    modes = [(part, part.training) for part in module.modules()]
    gradients = [(p, p.grad, p.requires_grad) for p in parameters]
    generators = [
        (value, value.get_state())
        for part in module.modules()
        for held in vars(part).values()
        for value in (held.values() if isinstance(held, dict) else [held])
        if isinstance(value, torch.Generator)
    ]
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=cuda_devices([*parameters, *module.buffers()])):
        try:
            for p in parameters:
                p.grad = None
            yield
        finally:
            for buffer, value in buffers:
                with torch.no_grad():
                    buffer.copy_(value)
            for part, training in modes:
                part.training = training
            for p, gradient, required in gradients:
                p.grad = gradient
                p.requires_grad_(required)
            for generator, state in generators:
                generator.set_state(state)
            random.setstate(python)
            np.random.set_state(numpy)


def cuda_devices(tensors: list[Tensor]) -> list[int]:
    """The numbers of the GPUs that hold some tensors."""
    found = {t.get_device() for t in tensors if t.device.type == "cuda"}
    return sorted(found)


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Gives an object another value of an attribute inside the block."""
    had, old = name in vars(owner), vars(owner).get(name)
    vars(owner)[name] = value
    try:
        yield
    finally:
        if had:
            vars(owner)[name] = old
        else:
            del vars(owner)[name]
