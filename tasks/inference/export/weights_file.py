"""Weights in a safetensors file, and the net that is built of it."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasks.inference.export.program import KEY, Program, Weights, coarsest
from tasks.inference.export.saying import readable
from tasks.inference.signature import Inputs, Signature
from tasks.training.build import build_model
from zoo.config.compose import from_plain
from zoo.errors import DataError, shown
from zoo.system.paths import expanded


class Safetensors:
    """The weights by their names in the net; `zoo.load_net` builds the net of them."""

    suffix = ".safetensors"

    def written(self, signature: Signature, net: nn.Module, about: dict[str, Any]) -> bytes:
        return as_safetensors(net.state_dict(), {KEY: json.dumps(about)})

    def read(self, path: Path, signature: Signature, net: nn.Module) -> Program:
        known, weights = content_of(path)
        refuse_other_names(net.state_dict(), weights, shown(str(path)))
        if "config" in known:
            module = signature.of(built(known, weights, path))
        else:
            module = signature.of(copy.deepcopy(net))
            module.load_state_dict(weights)

        return program_of(signature, module, weights)


def program_of(signature: Signature, module: nn.Module, weights: Weights) -> Program:
    """A net that was built of weights, which takes inputs of every size.

    Args:
        signature: of the net.
        module: that takes these inputs.
        weights: by their names in the net.
    """

    def call(inputs: Inputs) -> Tensor:
        output: Tensor = module(*inputs)
        return output

    inputs = signature.drawn(signature.sizes(1))
    shapes: list[list[int | None]] = [[None] * each.ndim for each in inputs]
    precision = coarsest([weight.dtype for weight in weights.values()])
    return Program(call, shapes, [each.dtype for each in inputs], precision, weights)


def as_safetensors(weights: Weights, metadata: dict[str, str]) -> bytes:
    """The weights as a safetensors file; ties are written out."""
    from safetensors.torch import save

    dense = {"memory_format": torch.contiguous_format}  # the format has no other
    return save({n: w.detach().cpu().clone(**dense) for n, w in weights.items()}, metadata)


def load_net(file: str | os.PathLike[str]) -> nn.Module:
    """Returns the net of a file: what `zoo.load_net` does and documents."""
    path = Path(expanded(os.fspath(file), "zoo.load_net"))
    return built(*content_of(path), path)


def content_of(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a file says of its net, and its weights; nothing of it can be code."""
    from safetensors import safe_open

    with readable(path), safe_open(path, "pt") as content:
        weights = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        known = json.loads((content.metadata() or {}).get(KEY, "{}"))
        return dict(known), weights


def built(known: dict[str, Any], weights: dict[str, Tensor], path: Path) -> nn.Module:
    """The net that a file describes; its classes are those that a configuration may name.

    Args:
        known: what the file says of the net.
        weights: of the net.
        path: of the file.

    Errors:
        DataError: it describes none, or one of other weights.
    """
    fix = "name a file that export format=safetensors wrote"
    if not {"config", "model_args"} <= known.keys():
        raise DataError("it does not say how its net is built", shown(str(path)), fix)
    with readable(path):
        tree, arguments = dict(known["config"]), dict(known["model_args"])
        config = from_plain(tree, tree.pop("choices"), str(path)).check()
        with torch.device("meta"):  # so that no net is drawn that its weights do not fill
            outline = build_model(config, **arguments)
        refuse_other_names(outline.state_dict(), weights, shown(str(path)))
        with torch.random.fork_rng(devices=[]):  # of the weights that are overwritten
            net = build_model(config, **arguments)
        net.load_state_dict(weights)
    return net.eval()


def refuse_other_names(expected: Weights, weights: Weights, where: str) -> None:
    """DataError where weights are not those of the net by name and shape."""
    wrong = {*expected} ^ {*weights}
    wrong |= {n for n in expected if n in weights and expected[n].shape != weights[n].shape}
    if wrong:
        what = f"{min(wrong)} is missing, unknown or of another shape"
        raise DataError(what, where, "name a file of this run's weights")
