"""Lightning's loop without its profiler."""

from __future__ import annotations

import contextlib
from typing import Any

from pytorch_lightning.profilers import PassThroughProfiler

NOTHING = contextlib.nullcontext()


class Unprofiled(PassThroughProfiler):
    """Returns one empty context for all actions, where Lightning makes 36 a step."""

    def profile(self, action_name: str) -> Any:
        return NOTHING
