"""Writes computed again in the backward pass, with the same random numbers and autocast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, get_device_states, set_device_states

if TYPE_CHECKING:
    from zoo.connection import Connection, State


@contextmanager
def unchanged_buffers(*modules: nn.Module) -> Iterator[None]:
    """A context after which the buffers of modules, such as running statistics, are as before."""
    owners = {owner for module in modules for owner in module.modules() if owner._buffers}
    buffers = {owner: dict(owner._buffers) for owner in owners}
    for owner, values in buffers.items():
        copies = {k: None if v is None else v.clone() for k, v in values.items()}
        owner._buffers.update(copies)
    try:
        yield
    finally:
        for owner, values in buffers.items():
            owner._buffers.update(values)


def checkpointed(
    connection: Connection,
    state: State,
    branch: nn.Module,
    *args: Any,
    shortcut: nn.Module | None = None,
    **kwargs: Any,
) -> State:
    """The state after a write whose activations are computed again in the backward pass.

    Running statistics change once, as without checkpointing.

    Args:
        connection: writes.
        state: before the write.
        branch: called with what the connection reads, `args` and `kwargs`.
        args: side inputs of the branch.
        shortcut: maps the state at a stage change.
        kwargs: side inputs of the branch, by name.
    """
    modules = [module for module in (connection, branch, shortcut) if module is not None]
    options = {"shortcut": shortcut, "use_reentrant": False, **kwargs}
    if not torch.compiler.is_compiling():  # a compiled graph holds each update once anyway
        options["context_fn"] = lambda: (nullcontext(), EachTime(modules))
    return checkpoint(connection, state, branch, *args, **options)


class EachTime:
    """`unchanged_buffers` as often as a backward pass comes by: twice or more for a Hessian.

    Args:
        modules: whose buffers are as before.
    """

    def __init__(self, modules: Sequence[nn.Module]):
        self.modules = modules

    def __enter__(self) -> None:
        self.context = unchanged_buffers(*self.modules)
        self.context.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.context.__exit__(*error)


class Moment:
    """The random states and autocast settings of the moment in which it is created.

    Args:
        tensor: lies on the device whose settings are stored beside the CPU's.
    """

    def __init__(self, tensor: Tensor):
        self.kind = tensor.device.type
        self.random = torch.get_rng_state()
        self.devices, self.states = get_device_states(tensor)
        self.settings = {
            kind: (torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
            for kind in {"cpu", self.kind}
            if torch.amp.is_autocast_available(kind)
        }

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """A context with these autocast settings, and without autocast's cache.

        A cast that was made without gradients must not be taken from it later.
        """
        with ExitStack() as contexts:
            for kind, setting in self.settings.items():
                contexts.enter_context(torch.autocast(kind, *setting, cache_enabled=False))
            yield

    @contextmanager
    def again(self) -> Iterator[None]:
        """A context with these random states and settings; the random states return at its end."""
        with torch.random.fork_rng(self.devices, device_type=self.kind), self.autocast():
            torch.set_rng_state(self.random)
            set_device_states(self.devices, self.states, device_type=self.kind)
            yield
