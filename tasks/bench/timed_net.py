"""A net whose training step is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BuildOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


class TimedNet:
    """One net and its optimiser, whose training step on one batch is timed.

    Args:
        model: the net.
        build: makes its optimiser.
        x: images `[B, C, H, W]`, tokens `[B, T]` long or features of nodes `[N, F]`.
        y: labels `[B]` long of the images, `[B, T]` of the tokens or `[N]` of the nodes.
        bfloat16: whether it computes in bfloat16.
    """

    def __init__(
        self, model: nn.Module, build: BuildOptimizer, x: Any, y: Tensor, bfloat16: bool = False
    ):
        self.model, self.x, self.y, self.bfloat16 = model, x, y, bfloat16
        self.optimizer = build(model)
        self.step()

    def step(self) -> float:
        """Takes one training step; returns its milliseconds of process time."""
        began = time.process_time()
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = F.cross_entropy(self.model(self.x).flatten(0, -2), self.y.flatten())
        loss.backward()
        self.optimizer.step()
        return 1e3 * (time.process_time() - began)
