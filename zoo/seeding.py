"""Paired draws: the initial value of a parameter depends on the seed and its name alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from zoo.connection import Connection
from zoo.stack import Stack


def keyed_seed(seed: int, *names: str) -> int:
    """A 63-bit seed for one named source of randomness.

    >>> keyed_seed(0, "dropout") == keyed_seed(0, "dropout") != keyed_seed(0, "edges")
    True
    """
    digest = hashlib.sha256("/".join([str(seed), *names]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *names: str) -> torch.Generator:
    """A CPU generator for one named source of randomness."""
    return torch.Generator().manual_seed(keyed_seed(seed, *names))


def redraw(model: nn.Module, seed: int) -> None:
    """Draws every parameter again from a generator keyed by the seed and its module's name.

    Inner modules come first, so that an outer module can set what its inner ones have drawn.

    Args:
        model: a model on the CPU; each module with `reset_parameters` is drawn again.
        seed: the run's seed.
    """
    with torch.random.fork_rng(devices=[]):
        for name, module in reversed(list(model.named_modules())):
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                torch.default_generator.manual_seed(keyed_seed(seed, "init", name))  # CPU's alone
                reset()


def branch_parameters(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yields the named parameters that every arm has, sorted by name.

    These are all but those of connections and shortcuts and, where a module declares `extra`
    input channels, all but the weights of these channels.
    """
    modules = list(model.modules())
    owners: list[nn.Module] = [module for module in modules if isinstance(module, Connection)]
    owners += [module.shortcuts for module in modules if isinstance(module, Stack)]
    owned = {id(parameter) for owner in owners for parameter in owner.parameters()}
    for name, parameter in sorted(model.named_parameters()):
        if id(parameter) not in owned:
            yield name, common(model.get_submodule(name.rpartition(".")[0]), parameter)


def common(module: nn.Module, parameter: Tensor) -> Tensor:
    """A parameter without the weights of its module's `extra` input channels, the last ones."""
    extra = getattr(module, "extra", 0)
    if not extra or (parameter.ndim == 1 and isinstance(module, nn.Conv2d)):  # a bias of the output
        return parameter
    axis = min(parameter.ndim - 1, 1)
    return parameter.narrow(axis, 0, parameter.shape[axis] - extra)


def branch_digest(model: nn.Module) -> str:
    """SHA-256 over name, shape and values of all parameters outside connections and shortcuts.

    Two arms of a comparison start from the same branches if their digests are equal.
    """
    digest = hashlib.sha256()
    for name, parameter in branch_parameters(model):
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        flat = parameter.detach().cpu().reshape(-1).contiguous()
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
