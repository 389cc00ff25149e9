"""Graphs of ONNX, which onnxruntime runs."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasks.inference.export.onnx_tensors import initial, reaching, refuse_outside, refuse_unread
from tasks.inference.export.program import KEY, Program, coarsest, known_weights, named_shapes
from tasks.inference.export.saying import carried, quiet, readable
from tasks.inference.export.torch_graph import shapes, traced
from tasks.inference.signature import Inputs, Signature
from zoo.errors import ConfigError

ONNX_TYPES = {
    "tensor(float)": torch.float32,
    "tensor(double)": torch.float64,
    "tensor(float16)": torch.float16,
    "tensor(int64)": torch.int64,
    "tensor(int32)": torch.int32,
}


class Onnx:
    """An ONNX graph, which onnxruntime and many other programs read."""

    suffix = ".onnx"

    def written(self, signature: Signature, net: nn.Module, about: dict[str, Any]) -> bytes:
        needed()
        with carried("onnx"), quiet():
            graph = traced(signature, net)
            model: Any = torch.onnx.export(
                graph,
                dynamo=True,
                verbose=False,
                optimize=False,  # onnxruntime does it; that of the exporter fails for some rules
                input_names=[*signature.inputs],
                output_names=[signature.output],
                dynamic_shapes=tuple(signature.inputs.values()),
            ).model_proto  # type: ignore[union-attr]
            named = about | {"inputs": named_shapes(signature, shapes(graph))}
            model.metadata_props.add(key=KEY, value=json.dumps(named))
            content: bytes = model.SerializeToString()
        return content

    def read(self, path: Path, signature: Signature, net: nn.Module) -> Program:
        needed()
        import onnx
        import onnxruntime

        with readable(path), quiet():
            model = onnx.load(path, load_external_data=False)
            refuse_outside(model, path)
            onnx.load_external_data_for_model(model, str(path.parent))
            refuse_unread(model, path)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        inputs = session.get_inputs()
        names = [each.name for each in inputs]
        dtypes = [ONNX_TYPES.get(each.type, torch.float32) for each in inputs]
        shapes = [[size if isinstance(size, int) else None for size in x.shape] for x in inputs]

        def call(values: Inputs) -> Tensor:
            arrays = {n: v.contiguous().numpy() for n, v in zip(names, values, strict=True)}
            return torch.from_numpy(session.run(None, arrays)[0])

        result = ONNX_TYPES.get(session.get_outputs()[0].type, torch.float32)
        precision = coarsest([*dtypes, result, *reaching(model.graph)])
        weights = known_weights(signature, net, initial(model.graph))
        return Program(call, shapes, dtypes, precision, weights)


def needed() -> None:
    """ConfigError where the libraries of ONNX are not installed."""
    try:
        for library in ("onnx", "onnxruntime", "onnxscript"):
            import_module(library)
    except ImportError as error:
        fix = 'pip install "residual-zoo[onnx]"'
        raise ConfigError(f"{error.name} is not installed", "format=onnx", fix) from None
