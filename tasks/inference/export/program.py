"""A net that was read from a file, and how far it is from the one that was trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tasks.inference.export.saying import quiet
from tasks.inference.signature import Inputs, Signature, Sizes
from zoo.errors import DataError

TOLERANCES = {  # of the largest difference, as a share of the largest output
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.float16: 2e-2,
    torch.bfloat16: 1e-1,
}
Weights = Mapping[str, Tensor]
KEY = "zoo"  # of the metadata in a file
NUMBERS = (1, 2, 3, 5)  # of which inputs of different sizes are drawn


@dataclass(frozen=True)
class Program:
    """A net that was read from a file.

    Args:
        call: gives its output.
        shapes: of its inputs; None where an axis may vary.
        dtypes: of its inputs.
        precision: the coarsest type of its weights and of its output.
        weights: by their names in the net, where the file has them.
    """

    call: Callable[[Inputs], Tensor]
    shapes: Sequence[Sequence[int | None]]
    dtypes: Sequence[torch.dtype]
    precision: torch.dtype
    weights: Weights | None = None


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

    def __str__(self) -> str:
        if self.share == 0:
            return f"equal to the trained net bit for bit in {self.name}"
        text = f"a largest difference of {self.share:.1e} in {self.name}"
        if self.agrees:
            return f"equal to the trained net up to {text} (rounding is up to {self.tolerance:g})"
        values = f"{self.value:.6g} where the net gives {self.expected:.6g}"
        return f"{text} ({values}, {self.at}; rounding is up to {self.tolerance:g})"


def differences(
    signature: Signature, net: nn.Module, program: Program, where: str
) -> list[Difference]:
    """The largest difference of the output, and of the weights where the file names them.

    Args:
        signature: of the net.
        net: the trained one.
        program: the same net, read from a file.
        where: the file, for messages.

    Errors:
        DataError: the program cannot be called as the net is.
    """
    fixed = fixed_sizes(signature, program, where)
    every = [signature.sizes(number) | fixed for number in NUMBERS]
    distinct = [sizes for i, sizes in enumerate(every) if sizes not in every[:i]]
    module = signature.of(net)
    with quiet():
        found = [of_output(signature, module, program, sizes, where) for sizes in distinct]
    largest = [max(found, key=lambda each: each.share)]
    if program.weights is not None:
        largest.append(of_weights(net.state_dict(), program.weights))
    return largest


def fixed_sizes(signature: Signature, program: Program, where: str) -> Sizes:
    """The sizes of axes that may vary in the net and cannot in the program."""
    names = [*signature.inputs]
    if len(program.shapes) != len(names):
        what = f"it takes {len(program.shapes)} inputs, the net {len(names)} ({', '.join(names)})"
        raise DataError(what, where, "export the net alone")
    fixed: Sizes = {}
    for (name, axes), shape in zip(signature.inputs.items(), program.shapes, strict=True):
        for axis, of in axes.items():
            if axis >= len(shape):
                what = f"its input for {name} has {len(shape)} axes"
                raise DataError(what, where, "export the net alone")
            size = shape[axis]
            if size is not None:
                fixed[of] = size
    return fixed


def named_shapes(
    signature: Signature, shapes: Sequence[Sequence[int | None]] | None = None
) -> dict[str, list[int | str]]:
    """The shape of every input, with the names of the axes that may vary.

    Args:
        signature: of the net.
        shapes: of a file's inputs; None: every axis varies that may.
    """
    drawn = signature.drawn(signature.sizes(1))
    shapes = shapes or [[None] * each.ndim for each in drawn]

    def named(axes: dict[int, str], shape: Sequence[int | None], usual: Tensor) -> list[int | str]:
        return [
            axes.get(i, usual.shape[i]) if size is None else size for i, size in enumerate(shape)
        ]

    rows = zip(signature.inputs.items(), shapes, drawn, strict=True)
    return {name: named(axes, shape, usual) for (name, axes), shape, usual in rows}


@torch.no_grad()
def of_output(
    signature: Signature, module: nn.Module, program: Program, sizes: Sizes, where: str
) -> Difference:
    """The largest difference of the output for known inputs of some sizes."""
    inputs = signature.drawn(sizes)
    expected = module(*inputs)
    given = tuple(each.to(kind) for each, kind in zip(inputs, program.dtypes, strict=True))
    shown = ", ".join(f"{axis}={size}" for axis, size in sizes.items())
    try:
        output = program.call(given)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        what = f"it cannot be called with {shown} ({reason})"
        raise DataError(what, where, "export the net alone") from None
    if output.shape != expected.shape:
        what = f"with {shown} it gives {[*output.shape]}, the net {[*expected.shape]}"
        raise DataError(what, where, "export the net alone")
    return difference(output, expected, signature.output, program.precision, f" with {shown}")


def of_weights(expected: Weights, weights: Weights) -> Difference:
    """The largest difference of the weights by their names; those of one type must be equal."""
    rows = []
    for name, value in weights.items():
        precision = value.dtype if value.is_floating_point() else expected[name].dtype
        tolerance = 0.0 if precision == expected[name].dtype else None
        rows.append(difference(value, expected[name], name, precision, "", tolerance))
    return max(rows, key=lambda row: row.share - row.tolerance)


def refuse_other_names(expected: Weights, weights: Weights, where: str) -> None:
    """DataError where weights are not those of the net by name and shape."""
    wrong = {*expected} ^ {*weights}
    wrong |= {n for n in expected if n in weights and expected[n].shape != weights[n].shape}
    if wrong:
        what = f"{min(wrong)} is missing, unknown or of another shape"
        raise DataError(what, where, "name a file of this run's weights")


def difference(
    value: Tensor,
    expected: Tensor,
    name: str,
    precision: torch.dtype,
    where: str,
    tolerance: float | None = None,
) -> Difference:
    """The largest difference of two tensors of one shape."""
    value, expected = value.detach().cpu().double(), expected.detach().cpu().double()
    gaps = torch.where(value == expected, 0.0, (value - expected).abs()).nan_to_num(math.inf)
    tolerance = TOLERANCES.get(precision, 0.0) if tolerance is None else tolerance
    if not gaps.numel():
        return Difference(0.0, tolerance, name, "empty", 0.0, 0.0)
    place = int(gaps.argmax())
    scale = expected.abs().max().item() or 1.0
    share = gaps.flatten()[place].item() / scale
    index = [int(i) for i in torch.unravel_index(torch.tensor(place), gaps.shape)]
    at = f"at {index}{where}"
    pair: tuple[Any, Any] = (value.flatten()[place].item(), expected.flatten()[place].item())
    return Difference(share, tolerance, name, at, *pair)


def coarsest(dtypes: Sequence[torch.dtype]) -> torch.dtype:
    """The floating type among some that rounds most; float32 without any."""
    floats = [dtype for dtype in dtypes if dtype in TOLERANCES]
    return max(floats, key=lambda dtype: TOLERANCES[dtype], default=torch.float32)
