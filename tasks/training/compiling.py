"""The compilation of a net as `trainer.compile` says, in a cache that later runs share."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Literal

import torch
from torch import nn

from tasks.data.cache import cache_folder, writable
from zoo.compiled import compile_writes
from zoo.errors import ResourceError

FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # in the environment, which the workers of a comparison inherit


def compile_model(model: nn.Module, how: bool | Literal["whole"]) -> None:
    """Compiles a net in place: every write, those of one kind once, or the net as one.

    Compiled code is kept in the user's cache, so that a later process takes it from there; where
    no folder can be made, or the environment names one, PyTorch chooses.

    Args:
        model: the net.
        how: `True`: its writes; `whole`: as one; `False`: not at all.
    """
    if how and FOLDER not in os.environ:
        with suppress(ResourceError):
            os.environ[FOLDER] = str(writable(cache_folder("compiled")))
    if how == "whole":
        torch.compiler.reset()  # of another run in this process, of which it has no use
        model.compile()
    elif how:
        compile_writes(model)
