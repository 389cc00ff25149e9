"""Time of training steps on a device, whose work goes on when the call has returned."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def synchronised(device: torch.device) -> Callable[[], float]:
    """A clock in seconds that waits for what the device was given before."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


@dataclass
class Net:
    """A net with its optimiser, of which a training step is timed.

    Args:
        model: on its device, in training.
        optimizer: of its weights.
        loss: of the net, `[]`.
        examples: tokens, images or nodes of a step.
        unit: `tokens`, `images` or `nodes`.
        prepare: is done to the net after its operations were counted, such as `compile`.
        mixed: whether it computes in bfloat16 by autocast.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable[[nn.Module], Tensor]
    examples: int
    unit: str
    prepare: Callable[[nn.Module], object] = lambda model: None
    mixed: bool = True

    def step(self) -> None:
        """Takes one training step."""
        device = next(self.model.parameters()).device.type
        self.optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=self.mixed):
            loss = self.loss(self.model)
        loss.backward()
        self.optimizer.step()


def counted(net: Net) -> int | None:
    """The operations of one step; None where the backward pass has one of its own (reversible)."""
    try:
        with FlopCounterMode(display=False) as counter:
            net.step()
    except RuntimeError as error:
        if "_will_engine_execute_node" not in str(error):
            raise
        return None
    return int(counter.get_total_flops())


def timed(net: Net, warmup: int, steps: int, peak: float | None) -> dict[str, Any]:
    """The time of a step of a net: the median, after warm-up, with what follows from it.

    A GPU is timed by its own events, between which the host does not wait; a CPU by the wall.

    Args:
        net: which is measured alone.
        warmup: steps that are left out.
        steps: that are timed.
        peak: of the device in TFLOP/s.

    Returns:
        `ms` and its quartiles `range`, `rate` (tokens, images or nodes a second, by `unit`),
        `tflops` as PyTorch counts them of dense products, convolutions and attention (a second) and
        their `share` of the peak, both None of a net in float32, and the most `bytes` that a GPU
        held.
    """
    device = next(net.model.parameters()).device
    flops = counted(net) if net.mixed else None
    net.prepare(net.model)
    for _ in range(warmup):
        net.step()
    now = synchronised(device)
    began = [now()]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
        events[0].record()
        for event in events[1:]:
            net.step()
            event.record()
        now()
        times = [a.elapsed_time(b) for a, b in itertools.pairwise(events)]
    else:
        for _ in range(steps):
            net.step()
            began.append(now())
        times = [1e3 * (b - a) for a, b in itertools.pairwise(began)]
    low, middle, high = (float(np.percentile(times, q)) for q in (25, 50, 75))
    tflops = None if flops is None else flops / middle / 1e9
    return {
        "ms": middle,
        "range": [low, high],
        "rate": 1e3 * net.examples / middle,
        "unit": net.unit,
        "tflops": tflops,
        "share": tflops / peak if peak and tflops else None,
        "bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }
