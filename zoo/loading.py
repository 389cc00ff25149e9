"""`zoo.load` and `zoo.load_net`: a trained net from the folder of its run, or from its file."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Literal


def load(
    folder: str | os.PathLike[str],
    weights: Literal["last", "best"] | None = None,
    device: str | None = None,
    revision: str | None = None,
) -> Any:
    """The trained net of a run, in evaluation, which answers new inputs when it is called.

    The run's folder gives it, and so does a folder that `export format=hub` wrote, here or on the
    Hub. None of them can run code.

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
        folder: of the run, or for the Hub; where no such folder is, `USER/NAME` is a model of the
            Hub, which is fetched once (with `HF_HUB_OFFLINE=1` it must have been). In `runs`, and
            where there is a folder `USER`, it takes a revision to mean the Hub.
        weights: of the last step, or of the one with the lowest validation loss; None: the last,
            or those that a folder for the Hub holds.
        device: on which it computes, such as `cpu`; None: a GPU if the machine has one.
        revision: of a model of the Hub, best the commit that you looked at; None: its newest.

    Errors:
        CheckpointError: the folder holds no run, the run has no such weights, or the Hub has no
            such model.
        ConfigError: the machine has no such device.
    """
    return import_module("tasks.inference.trained_module").load(folder, weights, device, revision)


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
