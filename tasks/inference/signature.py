"""How a trained net is called by other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Inputs = tuple[Tensor, ...]
Sizes = dict[str, int]  # of the axes that may vary, by their names


@dataclass(frozen=True)
class Signature:
    """What a net takes and gives, where all of it is tensors.

    Args:
        inputs: its inputs in order, and for each one the names of the axes that may vary.
        output: name of what it gives.
        sizes: gives sizes of these axes for a number; all of them differ from number to number.
        draw: gives known inputs of such sizes from a generator.
        about: what else a program must know to call it, such as how images are normalised.
        extremes: sizes at the ends of what the net takes, and those of the training.
        around: gives a module that takes these inputs, from the net; None: the net does.
    """

    inputs: dict[str, dict[int, str]]
    output: str
    sizes: Callable[[int], Sizes]
    draw: Callable[[Sizes, torch.Generator], Inputs]
    about: Mapping[str, object]
    extremes: Sequence[Sizes] = ()
    around: Callable[[Any], nn.Module] | None = None

    def of(self, net: nn.Module) -> nn.Module:
        """The module that takes these inputs, in evaluation."""
        return (self.around(net) if self.around else net).eval()

    def drawn(self, sizes: Sizes) -> Inputs:
        """Known inputs of some sizes, the same ones at every call."""
        return self.draw(sizes, torch.Generator().manual_seed(sum(sizes.values())))
