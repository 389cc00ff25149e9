"""Branches computed again in the backward pass, under the conditions of the first time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, get_device_states, set_device_states

if TYPE_CHECKING:
    from zoo.connection import Connection, State


@contextmanager
def kept_buffers(*modules: nn.Module) -> Iterator[None]:
    """Modules write into copies of their buffers: running statistics stay as they are."""
    owners = {owner for module in modules for owner in module.modules() if owner._buffers}
    buffers = {owner: dict(owner._buffers) for owner in owners}
    for owner, own in buffers.items():
        owner._buffers.update({k: None if v is None else v.clone() for k, v in own.items()})
    try:
        yield
    finally:
        for owner, own in buffers.items():
            owner._buffers.update(own)


def checkpointed(
    site: Connection,
    state: State,
    branch: nn.Module,
    *args: Any,
    shortcut: nn.Module | None = None,
    **kwargs: Any,
) -> State:
    """The site's next state; what lies between is computed again in the backward pass.

    Running statistics change once, as without checkpointing.
    """
    modules = [module for module in (site, branch, shortcut) if module is not None]
    given = {"shortcut": shortcut, "use_reentrant": False, **kwargs}
    if not torch.compiler.is_compiling():  # a compiled graph holds each update once anyway
        given["context_fn"] = lambda: (nullcontext(), kept_buffers(*modules))
    return checkpoint(site, state, branch, *args, **given)


class Moment:
    """The random states and the autocast setting at the time of its creation.

    Args:
        tensor: lies on the device whose settings count beside the CPU's.
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
        """The autocast setting, without its cache: casts made without gradients must not last."""
        with ExitStack() as contexts:
            for kind, setting in self.settings.items():
                contexts.enter_context(torch.autocast(kind, *setting, cache_enabled=False))
            yield

    @contextmanager
    def again(self) -> Iterator[None]:
        """The same random numbers and autocast setting; the random states return afterwards."""
        with torch.random.fork_rng(self.devices, device_type=self.kind), self.autocast():
            torch.set_rng_state(self.random)
            set_device_states(self.devices, self.states, device_type=self.kind)
            yield
