"""How far a net that was read from a file is from the one that was trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasks.inference.export.difference import Difference, difference, in_precision, of_weights
from tasks.inference.export.program import Program, fixed_sizes
from tasks.inference.export.saying import quiet
from tasks.inference.signature import Inputs, Signature, Sizes
from zoo.errors import CheckpointError, DataError, is_out_of_memory

TOLERANCE = 1e-4  # of the largest difference in float32, as a share of the largest output
HALF = 4, 0.1  # in a coarser type: as a multiple of what the net itself is off in it; the most
NUMBERS = (1, 2, 3, 5)  # of which inputs of different sizes are drawn
ALONE = "export the net alone"


@dataclass(frozen=True)
class Call:
    """Known inputs of some sizes, and what the trained net gives for them."""

    sizes: Sizes
    inputs: Inputs
    expected: Tensor

    def __str__(self) -> str:
        return said(self.sizes)


@torch.no_grad()
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
        CheckpointError: what the net gives is not finite.
    """
    module = signature.of(net)
    with quiet():
        calls = known_calls(signature, module, program, where)
        tolerance = rounding(module, calls, program.precision)
        rows = [of_output(each, program, signature.output, tolerance, where) for each in calls]
    largest = [max(rows, key=lambda row: row.severity)]
    if program.weights:
        expected = {**net.state_dict(), **module.state_dict()}  # a graph has the names of these
        largest.append(of_weights(expected, program.weights))
    return largest


def known_calls(
    signature: Signature, module: nn.Module, program: Program, where: str
) -> list[Call]:
    """Calls of all sizes that are drawn and that the program takes."""
    fixed = fixed_sizes(signature, program, where)
    every = [*(signature.sizes(number) for number in NUMBERS), *signature.extremes]
    every = [sizes | fixed for sizes in every]
    distinct = [sizes for i, sizes in enumerate(every) if sizes not in every[:i]]
    taken = [sizes for sizes in distinct if program.takes(sizes)]
    if not taken:
        raise DataError(f"it takes no sizes such as {said(distinct[0])}", where, ALONE)
    return [known_call(signature, module, sizes, fixed, where) for sizes in taken]


def known_call(
    signature: Signature, module: nn.Module, sizes: Sizes, fixed: Sizes, where: str
) -> Call:
    """The inputs of some sizes and what the net gives."""
    try:
        inputs = signature.drawn(sizes)
        expected = module(*inputs)
    except Exception as error:
        if not fixed or is_out_of_memory(error):
            raise
        what = f"its fixed sizes are none that the net takes ({said(fixed)})"
        raise DataError(what, where, ALONE) from None
    if not expected.isfinite().all():
        what = f"the trained net gives {signature.output} that are not finite"
        raise CheckpointError(what, where, "name weights=best, or another run")
    return Call(sizes, inputs, expected)


def rounding(module: nn.Module, calls: list[Call], precision: torch.dtype) -> float:
    """The share of the largest output that counts as rounding in a type."""
    if precision == torch.float32:
        return TOLERANCE
    factor, most = HALF
    rows = [
        difference(in_precision(module, each.inputs, precision), each.expected, "", 0.0)
        for each in calls
    ]
    return min(most, max(TOLERANCE, factor * max(row.share for row in rows)))


def of_output(call: Call, program: Program, name: str, tolerance: float, where: str) -> Difference:
    """The largest difference of the output for known inputs."""
    inputs = tuple(x.to(kind) for x, kind in zip(call.inputs, program.dtypes, strict=True))
    try:
        output = program.call(inputs)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        what = f"it cannot be called with {call} ({reason})"
        raise DataError(what, where, ALONE) from None
    if output.shape != call.expected.shape:
        what = f"with {call} it gives {[*output.shape]}, the net {[*call.expected.shape]}"
        raise DataError(what, where, ALONE)
    scale = call.expected.abs().max().item() if call.expected.numel() else 1.0
    return difference(output, call.expected, name, tolerance * (scale or 1.0), f" with {call}")


def said(sizes: Sizes) -> str:
    """Sizes by the names of their axes."""
    return ", ".join(f"{axis}={size}" for axis, size in sizes.items())
