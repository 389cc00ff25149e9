"""The tensors that an ONNX file holds: where they lie, and which of them reach the output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import DataError


def tensors(message: Any) -> Iterator[Any]:
    """Every tensor in a part of an ONNX file, whatever it is part of there."""
    from onnx import TensorProto

    for part in parts(message):
        if isinstance(part, TensorProto):
            yield part
        else:
            yield from tensors(part)


def parts(message: Any) -> Iterator[Any]:
    """The messages that one consists of."""
    from google.protobuf.message import Message

    for field, value in message.ListFields():
        if field.message_type is not None:
            yield from [value] if isinstance(value, Message) else value


def refuse_outside(model: Any, path: Path) -> None:
    """DataError where an ONNX file keeps weights outside its own folder."""
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    folder = path.parent.resolve()
    for tensor in filter(uses_external_data, tensors(model)):
        location = ExternalDataInfo(tensor).location
        if not (folder / location).resolve().is_relative_to(folder):
            what = f"its weights lie outside its folder ({location})"
            raise DataError(what, str(path), "bring them into one folder")


def refuse_unread(model: Any, path: Path) -> None:
    """DataError where onnxruntime itself would read weights from other files."""
    from onnx.external_data_helper import uses_external_data

    if any(map(uses_external_data, tensors(model))):
        what = "weights of a sparse tensor lie in another file"
        raise DataError(what, str(path), "store them in the file itself")


def initial(graph: Any) -> dict[str, Tensor]:
    """The weights of a graph by their names, in their own types."""
    from onnx import numpy_helper

    def tensor(weight: Any) -> Tensor:
        array, kind = numpy_helper.to_array(weight), kinds().get(weight.data_type)
        if kind is not None:  # NumPy may lack it
            array = array.astype("float32")
        return torch.from_numpy(array.copy()).to(kind)

    return {weight.name: tensor(weight) for weight in graph.initializer}


def kinds() -> dict[int, torch.dtype]:
    """The types of half precision, by their numbers in ONNX."""
    from onnx import TensorProto

    return {TensorProto.FLOAT16: torch.float16, TensorProto.BFLOAT16: torch.bfloat16}


def reaching(graph: Any) -> list[torch.dtype]:
    """The types of half precision of what the first output of a graph depends on."""
    reached, numbers = {graph.output[0].name}, []
    for node in reversed(graph.node):
        if not reached.intersection(node.output):
            continue
        reached |= names(node)
        numbers += [tensor.data_type for tensor in tensors(node)]
        numbers += [each.i for each in node.attribute if (node.op_type, each.name) == CAST]
    numbers += [weight.data_type for weight in graph.initializer if weight.name in reached]
    numbers += [w.values.data_type for w in graph.sparse_initializer if w.values.name in reached]
    return [kinds()[number] for number in numbers if number in kinds()]


CAST = ("Cast", "to")


def names(node: Any) -> set[str]:
    """The names of all that a node and the graphs in it read."""
    from onnx import GraphProto

    graphs = [part for each in node.attribute for part in parts(each)]
    inner = [n for graph in graphs if isinstance(graph, GraphProto) for n in graph.node]
    return {*node.input}.union(*map(names, inner))
