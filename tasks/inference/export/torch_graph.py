"""Graphs of `torch.export`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_leaves
from torch.utils._sympy.value_ranges import bound_sympy

from tasks.inference.export.program import (
    KEY,
    Program,
    Range,
    coarsest,
    known_weights,
    named_shapes,
)
from tasks.inference.export.saying import carried, quiet, readable
from tasks.inference.signature import Inputs, Signature

EXAMPLE = 3  # the number of whose sizes a net is traced


class TorchExport:
    """A graph of `torch.export`, which `torch.export.load` reads.

    Reading runs code that a file can hold: pickled objects, operators of any module, expressions
    of sympy, compiled libraries. Only files of known origin may be read.
    """

    suffix = ".pt2"

    def written(self, signature: Signature, net: nn.Module, about: dict[str, Any]) -> bytes:
        buffer = io.BytesIO()
        with carried("torch_export"), quiet():
            graph = traced(signature, net)
            named = about | {"inputs": named_shapes(signature, shapes(graph))}
            named["ranges"] = ranges(signature, graph)
            torch.export.save(graph, buffer, extra_files={KEY: json.dumps(named)})
        return buffer.getvalue()

    def read(self, path: Path, signature: Signature, net: nn.Module) -> Program:
        with readable(path), quiet():
            graph = torch.export.load(io.BytesIO(path.read_bytes()))
            module = graph.module()
        inputs = placeholders(graph)

        def call(values: Inputs) -> Tensor:
            output: Any = module(*values)
            return output[0] if isinstance(output, tuple | list) else output

        kinds = [each.dtype for each in inputs]
        weights = known_weights(signature, net, graph.state_dict)
        limits = ranges(signature, graph)
        return Program(call, shapes(graph), kinds, coarsest(reaching(graph)), weights, limits)


def traced(signature: Signature, net: nn.Module) -> ExportedProgram:
    """The graph of a net, with every axis free that may vary and can."""
    asked = tuple(dict.fromkeys(axes, Dim.AUTO) for axes in signature.inputs.values())
    example = signature.drawn(signature.sizes(EXAMPLE))
    with torch.no_grad():
        return torch.export.export(signature.of(net), example, dynamic_shapes=asked)


def placeholders(graph: ExportedProgram) -> list[Tensor]:
    """The inputs of a graph, without values."""
    users = {*graph.graph_signature.user_inputs}
    nodes = [node for node in graph.graph.nodes if node.op == "placeholder"]
    return [node.meta["val"] for node in nodes if node.name in users]


def shapes(graph: ExportedProgram) -> list[list[int | None]]:
    """The shape of every input of a graph, with None for an axis that may vary."""
    return [
        [size if isinstance(size, int) else None for size in each.shape]
        for each in placeholders(graph)
    ]


def reaching(graph: ExportedProgram) -> list[torch.dtype]:
    """The types of all tensors on which the output of a graph depends."""
    pending = [node for node in graph.graph.nodes if node.op == "output"]
    reached = set(pending)
    while pending:
        fresh = {*pending.pop().all_input_nodes} - reached
        reached |= fresh
        pending += fresh
    values = tree_leaves([node.meta.get("val") for node in reached])
    return [value.dtype for value in values if isinstance(value, Tensor)]


def ranges(signature: Signature, graph: ExportedProgram) -> dict[str, Range]:
    """The smallest and largest sizes of axes that a graph limits, by their names.

    A graph says of every axis that it is at least 2, and means no limit by it.
    """
    limits: dict[str, Range] = {}
    for axes, value in zip(signature.inputs.values(), placeholders(graph), strict=False):
        for axis, name in axes.items():
            size = value.shape[axis] if axis < value.ndim else 0
            if isinstance(size, int):
                continue
            bounds = bound_sympy(size.node.expr, graph.range_constraints)
            low = int(bounds.lower) if bounds.lower > 2 else 1
            high = int(bounds.upper) if bounds.upper.is_Integer else None
            if low > 1 or high is not None:
                limits[name] = low, high
    return limits
