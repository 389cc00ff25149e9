"""What a step that is left out must leave as it was, without a wait for the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Told = Literal["scaler", "device", "host"]


class Updates:
    """The updates of a run, of which those with a gradient that is not finite are left out.

    Args:
        task: that is trained, on its device.
        told: who is told to leave one out: the `scaler` of fp16 knows by itself; the `device` by
            a number that fused optimisers read; the `host`, which waits to see it. So do other
            optimisers.
        skip: whether a run goes on behind such a step, with the running statistics of before.
            Otherwise no step follows it.
    """

    def __init__(self, task: Any, told: Told, skip: bool):
        self.told, self.skip = told, skip
        self.lost = torch.zeros((), dtype=torch.float32, device=task.device)  # as kernels read it
        self.statistics = RunningStatistics(task.model) if skip else None

    def leave_out(self, optimizer: Any, weights: Sequence[Tensor], bad: Tensor) -> None:
        """Leaves out the next update of an optimiser where `bad` `[]` is true.

        Args:
            optimizer: about to make it.
            weights: with gradients.
            bad: whether one of these is not finite.
        """
        fused = optimizer.param_groups[0].get("fused")
        told = "host" if self.told == "device" and not fused else self.told
        if told != "host" and not optimizer.state:
            begin_momentum(optimizer)
        if told == "host":
            for weight in weights if bad else ():
                weight.grad = None
        if told == "device":
            if self.skip:
                self.lost.copy_(bad)
            else:
                self.lost.logical_or_(bad)
            optimizer.found_inf = self.lost
        if self.statistics:
            self.statistics.leave_out(bad)

    def ended(self) -> None:
        """Has the next step find what averages of the weights made of the statistics."""
        if self.statistics:
            self.statistics.keep()


def begin_momentum(optimizer: Any) -> None:
    """Begins the momentum of SGD at 0, so that its fused step can leave out a first step as well.

    PyTorch would begin it with the first gradient, or with whatever the memory holds where that
    step is left out.
    """
    for group in optimizer.param_groups:
        for weight in group["params"] if group.get("momentum") else ():
            optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)


class RunningStatistics:
    """The running statistics of a model, those of each type copied at once.

    Args:
        model: on its device; the statistics stay its own memory.
    """

    def __init__(self, model: nn.Module):
        stored = model.state_dict(keep_vars=True)
        self.live: dict[torch.dtype, list[Tensor]] = {}
        for name, value in model.named_buffers():
            if name in stored:
                self.live.setdefault(value.dtype, []).append(value)
        self.before = {dtype: flat(values) for dtype, values in self.live.items()}

    def leave_out(self, bad: Tensor) -> None:
        """Returns them to what was kept of them, where `bad` `[]` is true; else keeps them."""
        for dtype, values in self.live.items():
            kept = self.before[dtype]  # memory that stays, as recorded steps need it
            torch.where(bad, kept, flat(values), out=kept)
            parts = kept.split([value.numel() for value in values])
            shaped = [part.view_as(value) for part, value in zip(parts, values, strict=True)]
            torch._foreach_copy_(values, shaped)

    def keep(self) -> None:
        """Keeps them as they are."""
        for dtype, values in self.live.items():
            flat(values, out=self.before[dtype])


def flat(values: list[Tensor], out: Tensor | None = None) -> Tensor:
    """All numbers of some tensors in a row, `[n]`; in memory of that shape if it is given."""
    return torch.cat([value.flatten() for value in values], out=out)
