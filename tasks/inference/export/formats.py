"""The formats of an export."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import nn

from tasks.inference.export.onnx_graph import Onnx
from tasks.inference.export.program import Program
from tasks.inference.export.torch_graph import TorchExport
from tasks.inference.export.weights_file import Safetensors
from tasks.inference.signature import Signature


class Format(Protocol):
    """A kind of file that holds a net."""

    suffix: str

    def written(self, signature: Signature, net: nn.Module, about: dict[str, Any]) -> bytes:
        """The file of a net in evaluation, with what is known of it as JSON under `zoo`."""

    def read(self, path: Path, signature: Signature, net: nn.Module) -> Program:
        """The net of a file; DataError where it cannot be read."""


FORMATS: dict[str, Format] = {
    "safetensors": Safetensors(),
    "torch_export": TorchExport(),
    "onnx": Onnx(),
}
