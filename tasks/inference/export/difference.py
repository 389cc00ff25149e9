"""How far two tensors are from one another, and what of it is rounding."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tasks.inference.export.program import Weights
from tasks.inference.signature import Inputs


@dataclass(frozen=True)
class Difference:
    """The largest difference between a program and the net.

    Args:
        share: its size as a share of the net's largest value.
        tolerance: the most that counts as rounding.
        name: of the output, or of the weight.
        at: where in it, and for an output at which sizes of the inputs.
        value: of the program there.
        expected: of the net.
    """

    share: float
    tolerance: float
    name: str
    at: str
    value: float
    expected: float

    @property
    def agrees(self) -> bool:
        return self.share <= self.tolerance

    @property
    def severity(self) -> tuple[bool, float, float]:
        """Its place in an order whose largest one is shown: those beyond rounding come last."""
        beside = self.share / self.tolerance if self.tolerance else self.share and math.inf
        return not self.agrees, beside, self.share

    def __str__(self) -> str:
        if self.share == 0:
            return f"equal to the trained net bit for bit in {self.name}"
        text = f"a largest difference of {self.share:.1e} in {self.name}"
        limit = f"rounding is up to {self.tolerance:.2g}"
        if self.agrees:
            return f"equal to the trained net up to {text} ({limit})"
        values = f"{self.value:.6g} where the net gives {self.expected:.6g}"
        return f"{text} ({values}, {self.at}; {limit})"


def difference(
    value: Tensor, expected: Tensor, name: str, allowed: Tensor | float, where: str = ""
) -> Difference:
    """The largest difference of two tensors of one shape; one beyond rounding, if there is any.

    Args:
        value: of the program.
        expected: of the net.
        name: of the tensors.
        allowed: the most that counts as rounding, at each place or at all of them.
        where: at which inputs.
    """
    value, expected = value.detach().cpu().double(), expected.detach().cpu().double()
    gaps = torch.where(value == expected, 0.0, (value - expected).abs()).nan_to_num(math.inf)
    if not gaps.numel():
        return Difference(0.0, 0.0, name, "empty", 0.0, 0.0)
    limits = torch.as_tensor(allowed).double().expand(gaps.shape)
    beyond = gaps > limits
    place = int((gaps - limits if beyond.any() else gaps).argmax())
    scale = expected.abs().max().item() or 1.0
    share, tolerance = (each.flatten()[place].item() / scale for each in (gaps, limits))
    index = [int(i) for i in torch.unravel_index(torch.tensor(place), gaps.shape)]
    pair = value.flatten()[place].item(), expected.flatten()[place].item()
    return Difference(share, tolerance, name, f"at {index}{where}", *pair)


def of_weights(expected: Weights, weights: Weights) -> Difference:
    """The largest difference of weights by their names from the net's.

    Those of one type must be equal; those of a coarser one may be a step of it from the rounded.
    """
    rows = []
    for name, value in weights.items():
        usual = expected[name].detach().cpu()
        coarser = value.is_floating_point() and usual.is_floating_point()
        coarser = coarser and torch.finfo(value.dtype).eps > torch.finfo(usual.dtype).eps
        rounded = usual.to(value.dtype) if coarser else usual
        step = steps(rounded) if coarser else 0.0
        rows.append(difference(value, rounded, name, step))
    return max(rows, key=lambda row: row.severity)


def steps(values: Tensor) -> Tensor:
    """The distance from each number to the next larger one of its type, in size."""
    kind = torch.finfo(values.dtype)
    sizes = values.double().abs().clamp(min=kind.smallest_normal)
    return kind.eps * (torch.frexp(sizes).exponent.double() - 1).exp2()


def in_precision(module: nn.Module, inputs: Inputs, precision: torch.dtype) -> Tensor:
    """The output of a net whose weights, inputs and outputs of modules are rounded to a type."""
    limits = torch.finfo(precision)

    def rounded(value: object) -> object:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        return value.clamp(limits.min, limits.max).to(precision).to(value.dtype)

    coarse = copy.deepcopy(module)
    for weight in (*coarse.parameters(), *coarse.buffers()):
        weight.data = rounded(weight.data)  # type: ignore[assignment]
    for each in coarse.modules():
        each.register_forward_hook(lambda _, __, output: tree_map(rounded, output))
    output: Tensor = coarse(*tree_map(rounded, inputs))
    return output
