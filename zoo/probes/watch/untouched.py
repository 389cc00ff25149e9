"""A net is as it was before it was probed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo.errors import ConfigError

Loss = Callable[[nn.Module, Any], Tensor]  # what probes take: a scalar, of a net and a batch


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Leaves a net and the random states as they were, whatever happens inside the block.

    Restored are the attributes of every module with the mode, the dictionaries and lists that they
    hold, tensors among them, buffers, the gradients, which parameters need a gradient, and the
    random states of Python, NumPy, PyTorch and of generators that modules hold, as they are or in
    a dictionary. Inside, no parameter has a gradient yet.

    Args:
        module: the net. Its parameters are not copied, but for embeddings whose rows are cut to a
            norm as they are read: nothing inside may change others.

    Errors:
        ConfigError: a layer does not know its shape yet.
    """
    refuse_lazy(module)
    parameters = list(module.parameters())
    holding = [held for part in parts_of(module).values() for held in holders(part)]
    contents = [(held, dict(held) if isinstance(held, dict) else [*held]) for held in holding]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    others = [(x, x.detach().clone(), x._version) for x in changeable(module)]
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
            for held, before in contents:
                put_back(held, before)
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)
                for x, value, version in others:
                    if x._version != version:
                        x.copy_(value)
            for p, gradient, required in gradients:
                p.grad = gradient
                p.requires_grad_(required)
            for generator, state in generators:
                generator.set_state(state)
            random.setstate(python)
            np.random.set_state(numpy)


def parts_of(module: nn.Module) -> dict[str, nn.Module]:
    """The modules of a net by path, but for those of TorchScript, which nothing can be put on."""
    return {
        name: part
        for name, part in module.named_modules()
        if not isinstance(part, torch.jit.ScriptModule)
    }


def refuse_lazy(module: nn.Module) -> None:
    """Refuses a net whose weights are made by its first pass.

    Errors:
        ConfigError: as said.
    """
    for name, x in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(x):
            raise ConfigError("a layer does not know its shape yet", name, "run the net once first")


def holders(part: nn.Module) -> list[Any]:
    """The attributes of a module, and those of them that hold others by key or number."""
    held = vars(part)
    return [held, *(value for value in held.values() if isinstance(value, dict | list | deque))]


def put_back(held: Any, before: Any) -> None:
    """Gives a dictionary, a list or a queue its former contents."""
    put = held.update if isinstance(held, dict) else held.extend
    now, then = (
        [*each, *each.values()] if isinstance(each, dict) else [*each] for each in (held, before)
    )
    if len(now) != len(then) or any(x is not y for x, y in zip(now, then, strict=True)):
        held.clear()
        put(before)


def changeable(module: nn.Module) -> list[Tensor]:
    """Tensors beside the buffers that a pass may change in place."""
    parts = parts_of(module).values()
    plain = [x for part in parts for x in vars(part).values() if isinstance(x, Tensor)]
    tables = [part for part in parts if isinstance(part, nn.Embedding | nn.EmbeddingBag)]
    return [
        *(x for x in plain if not x.is_inference() and not isinstance(x, nn.Parameter)),
        *(table.weight for table in tables if table.max_norm is not None),
    ]


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
