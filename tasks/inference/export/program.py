"""A net that was read from a file, and what it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tasks.inference.signature import Inputs, Signature, Sizes
from zoo.errors import DataError

Weights = Mapping[str, Tensor]
Range = tuple[int, int | None]  # the smallest and the largest size of an axis
KEY = "zoo"  # of the metadata in a file


@dataclass(frozen=True)
class Program:
    """A net that was read from a file.

    Args:
        call: gives its output.
        shapes: of its inputs; None where an axis may vary.
        dtypes: of its inputs.
        precision: the coarsest type of what reaches its output.
        weights: by their names in the net, where the file has them.
        ranges: of the axes that vary within limits, by their names.
    """

    call: Callable[[Inputs], Tensor]
    shapes: Sequence[Sequence[int | None]]
    dtypes: Sequence[torch.dtype]
    precision: torch.dtype
    weights: Weights | None = None
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def takes(self, sizes: Sizes) -> bool:
        """Whether sizes lie within the limits."""
        return all(
            low <= sizes[axis] and (high is None or sizes[axis] <= high)
            for axis, (low, high) in self.ranges.items()
        )


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


def known_weights(signature: Signature, net: nn.Module, weights: Weights) -> Weights | None:
    """The weights of a graph that are the net's by name and shape; None if it lacks a parameter.

    A graph whose norms are part of its convolutions has weights of the old names and other values.
    """
    module = signature.of(net)
    state = module.state_dict()
    same = {n: w for n, w in weights.items() if n in state and state[n].shape == w.shape}
    names = [*module.named_parameters(remove_duplicate=False)]
    missing = {id(each) for _, each in names} - {id(each) for name, each in names if name in same}
    return None if missing else same


def coarsest(dtypes: Sequence[torch.dtype]) -> torch.dtype:
    """The floating type among some that rounds most, float32 at the least."""
    floats = [dtype for dtype in dtypes if dtype.is_floating_point]
    return max([torch.float32, *floats], key=lambda dtype: torch.finfo(dtype).eps)
