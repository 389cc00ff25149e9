"""`zoo.load` and `zoo.load_net`: a trained net from the folder of its run, or from its file."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Literal


def load(
    folder: str | os.PathLike[str],
    weights: Literal["last", "best"] = "last",
    device: str | None = None,
) -> Any:
    """The trained net of a run, in evaluation, which answers new inputs when it is called.

    | task | call | answer |
    | --- | --- | --- |
    | `cnn` | `net(images)` | probabilities `[B, classes]` |
    | `unet` | `net(images)` | probabilities `[B, classes, H, W]` |
    | `transformer` | `net(text, tokens=200, temperature=1.0, top_k=None, seed=0)` | what follows |
    | `gnn` | `net(graph)`, `net()` for the run's graph | probabilities `[nodes, classes]` |
    | `diffusion` | `net(count, seed=0, label=None)` | images `[count, C, H, W]` uint8 |

    Images are `[B, C, H, W]` uint8, a PIL image, or a list of them. A graph has `x` `[N, F]` and
    `edge_index` `[2, E]`, such as PyG's `Data`. Answers lie on the CPU and have no gradient; for
    more there are `net.module`, `net.prepare` (from inputs to what the module takes),
    `net.classes`, `net.config` and `net.result`. The run's data is needed by `net()` alone.

    Args:
        folder: of the run.
        weights: of the last step, or of the one with the lowest validation loss.
        device: on which it computes, such as `cpu`; None: a GPU if the machine has one.

    Errors:
        CheckpointError: the folder holds no run, or the run has no such weights.
        ConfigError: the machine has no such device.
    """
    return import_module("tasks.inference.trained_module").load(folder, weights, device)


def load_net(file: str | os.PathLike[str]) -> Any:
    """The net of a `.safetensors` file that `export` wrote, in evaluation, on the CPU.

    The run folder is not needed: the file says how the net is built. `zoo.load` gives more, with
    what the net needs to be fed.

    Args:
        file: that `python -m zoo export from=FOLDER format=safetensors` wrote.

    Errors:
        DataError: it is no such file.
        ConfigError: this version of the zoo cannot build the net.
    """
    return import_module("tasks.inference.export.weights_file").load_net(file)
