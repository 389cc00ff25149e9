"""Passes beside the first, in which other blocks are left out and other experts are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import Tensor, nn

from zoo.probes.watch.backward import differentiated, gradients_of, scalar
from zoo.probes.watch.calls import measurable
from zoo.probes.watch.untouched import Loss, parts_of
from zoo.probes.watch.watched import watched
from zoo.probes.watch.writes import Watch

PASSES = 8


def never_used(module: nn.Module, batch: Any, loss: Loss, names: Sequence[str]) -> list[str]:
    """Names those parameters that get no gradient in further passes either.

    Each pass has random draws of its own. From the second on, what layers give is disturbed as
    well, so that a choice by size, such as that of an expert, falls otherwise: every value is
    multiplied by a draw from [0, 1), which keeps probabilities and signs what they are. A disturbed
    pass that fails ends the search.

    Args:
        module: the net; it is left as it was.
        batch: what `loss` takes.
        loss: gives a scalar, of the net and the batch.
        names: of parameters that had no gradient in the first pass.
    """
    left = list(names)
    with ExitStack() as contexts:
        contexts.enter_context(watched(module, Watch(), sums=False))
        given = contexts.enter_context(differentiated(module))
        contexts.enter_context(suppress(Exception))
        for number in range(PASSES):
            if not left:
                break
            if number == 1:
                for part in layers_of(module):
                    contexts.callback(part.register_forward_hook(disturbed).remove)
            found = gradients_of(scalar(loss(module, batch)), module, given)
            given.leaves.clear()
            left = [name for name in left if name not in found]
    return left


def layers_of(module: nn.Module) -> list[nn.Module]:
    """The modules that hold parameters themselves."""
    return [
        part for part in parts_of(module).values() if next(part.parameters(False), None) is not None
    ]


def disturbed(part: nn.Module, args: Any, out: Any) -> Any:
    """What a layer gives, each value made smaller at random; other things than tensors stay."""
    return out * torch.rand_like(out) if isinstance(out, Tensor) and measurable(out) else None
