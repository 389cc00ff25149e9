"""The loss of a net whose weights are moved for a moment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.probes.watch.backward import scalar
from zoo.probes.watch.untouched import Loss, untouched
from zoo.seeding import keyed_seed

Move = Callable[[Mapping[str, Tensor]], None]


@contextmanager
def moving(module: nn.Module) -> Iterator[Move]:
    """Yields a function that sets weights to what they were plus an offset; puts them back.

    Buffers, mode, gradients and random states are restored as well. Inside, the net is in
    evaluation mode.

    Args:
        module: the net. The function takes offsets by the name of a parameter.
    """
    parameters = dict(module.named_parameters())
    start = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def move(offsets: Mapping[str, Tensor]) -> None:
        for name, offset in offsets.items():
            parameters[name].copy_(start[name] + offset)

    with untouched(module):
        module.eval()
        try:
            yield move
        finally:
            with torch.no_grad():
                for name, p in parameters.items():
                    p.copy_(start[name])


def value(module: nn.Module, batch: Any, loss: Loss, seed: int) -> Tensor:
    """The loss with random numbers that depend on the seed alone, if it draws any.

    Errors:
        ConfigError: the loss is no scalar.
    """
    key = keyed_seed(seed, "loss")
    torch.default_generator.manual_seed(key)
    for number in {p.get_device() for p in module.parameters() if p.device.type == "cuda"}:
        torch.cuda.default_generators[number].manual_seed(key)
    return scalar(loss(module, batch))


def differentiable(at: Tensor, weights: Collection[Tensor]) -> None:
    """Refuses a loss that has no gradient by any weight, or none that is finite.

    Errors:
        ConfigError: as said.
    """
    if not weights or not at.requires_grad:
        fix = "let a weight on which it depends need a gradient"
        raise ConfigError("the loss depends on no weight", "loss", fix)
    if not at.isfinite():
        raise ConfigError(f"a loss of {at.item()}", "loss", "give a batch whose loss is finite")
