"""What was seen of a net in one forward and backward pass, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from zoo.probes.stream.profile import StreamProfile
from zoo.probes.watch.calls import Call
from zoo.probes.watch.writes import Write


@dataclass(frozen=True)
class Output:
    """What a function gave, as numbers on the device of the net.

    Args:
        call: of the function.
        dtype: of the tensor.
        shape: of the tensor.
        units: number of them: channels, or the length of the last axis.
        finite: whether all of it is, and whether all that it was computed of is.
        largest: absolute value.
        size: root mean square.
        dead: share of the units of which a rectifier makes zero for every example, far enough
            below zero that they do not come back by themselves; None of others.
        flat: share of the values of a bounded activation that stand at an end; None of others.
        same: whether it is equal to the only tensor that it was computed of; None of others.
    """

    call: Call
    dtype: torch.dtype
    shape: torch.Size
    units: int
    finite: tuple[Tensor, Tensor]
    largest: Tensor
    size: Tensor
    dead: Tensor | None
    flat: Tensor | None
    same: Tensor | None


@dataclass
class Norm:
    """What a batch norm was given.

    Args:
        module: its path.
        values: of each channel that it saw.
        examples: of the batch.
        shift: `[C]`, how far the mean of the batch lies from the running one, in running
            deviations; None without running statistics.
        stretch: `[C]`, variance of the batch over the running one.
        seen: number of batches in the running statistics.
        training: whether it takes the statistics of the batch.
        bias: path of the layer before, if that has a bias.
        source: number of the call that made what it was given.
    """

    module: str
    values: int
    examples: int
    shift: Tensor | None
    stretch: Tensor | None
    seen: int
    training: bool
    bias: str
    source: int


@dataclass
class Examination:
    """What was seen of a net.

    Args:
        module: the net.
        loss: `[]`.
        outputs: of all functions, in order.
        calls: the same, with those that made no floating-point numbers.
        writes: in order.
        profile: of the stream; None without a write.
        spreads: for each write the share of the stream's energy outside of its first direction,
            which is 0 where all rows are one.
        alike: the same by depth, over the rows of examples and over the examples `[2]`, with paths:
            of the first function with weights and every write, or of all functions with weights
            but the last, the head, in a net without skips.
        added: for each write the size of what it changes, over that of the stream.
        stopped: numbers of the writes whose skip has no gradient, though what it brings had one.
        in_place: numbers of the calls that gave the tensor that they took.
        overwritten: numbers of the writes whose branch changes in place what the skip brings.
        norms: what every batch norm was given.
        gradients: of the parameters, by name, where there is one.
        unused: names of the parameters that need a gradient and get none.
        shapes: of the first input and of the first output of every module that ran, by path.
        final: number of the call that made the loss.
        optimizer: of the net, if one is given.
        clip: largest norm of the gradient with which it steps; None: any.
        flows: size of the gradient at what each call with weights made, by its number.
    """

    module: nn.Module
    loss: Tensor
    outputs: list[Output]
    calls: list[Call]
    writes: list[Write]
    profile: StreamProfile | None
    spreads: list[Tensor]
    alike: list[tuple[str, Tensor]]
    added: list[Tensor]
    stopped: set[int]
    in_place: set[int]
    overwritten: set[int]
    norms: list[Norm]
    gradients: dict[str, Tensor]
    unused: list[str]
    shapes: dict[str, tuple[Any, Any]]
    final: int
    optimizer: torch.optim.Optimizer | None = None
    clip: float | None = None
    flows: dict[int, Tensor] = field(default_factory=dict)
