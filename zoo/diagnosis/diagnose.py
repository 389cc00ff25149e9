"""`zoo.diagnose`: which known causes keep a net from training, and where."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from zoo.diagnosis.causes import gradients, norms, numbers, skips, steps, units
from zoo.diagnosis.examination import Examination
from zoo.diagnosis.examine import examine
from zoo.diagnosis.finding import CAUSES, Finding
from zoo.probes.stream.profile import StreamProfile
from zoo.probes.watch.untouched import Loss

Cause = Callable[[Examination], Iterator[Finding]]
HOMES = (numbers, gradients, skips, units, norms, steps)
CHECKS: dict[str, Cause] = {
    name: next(getattr(home, name) for home in HOMES if hasattr(home, name)) for name in CAUSES
}


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a net, and what its stream does.

    Args:
        findings: in the order of `CAUSES`, which begins with the worst.
        profile: of the stream; None of a net without skips.
    """

    findings: list[Finding]
    profile: StreamProfile | None

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "nothing is found"


def diagnose(
    module: nn.Module,
    batch: Any,
    loss: Loss,
    optimizer: torch.optim.Optimizer | None = None,
    clip: float | None = None,
) -> Diagnosis:
    """What is wrong with a net, found in one forward and backward pass.

    Nothing of the net is changed: neither parameters, buffers, mode, gradients nor random states.
    A net that is not finite is told by that alone, since all else follows from it.

    Args:
        module: any net, in the mode in which it is to be judged.
        batch: what `loss` takes.
        loss: gives a scalar, of the net and the batch.
        optimizer: of the net, for causes that lie in its steps.
        clip: largest norm of the gradient with which it steps; None: any.

    >>> from torch.nn import functional as F
    >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    >>> batch = torch.randn(32, 8), torch.randint(3, (32,))
    >>> print(diagnose(net, batch, lambda net, batch: F.cross_entropy(net(batch[0]), batch[1])))
    nothing is found
    """
    seen = examine(module, batch, loss, optimizer, clip)
    lost = list(CHECKS["non_finite"](seen))
    names = ("fp16_overflow",) if lost else CAUSES
    return Diagnosis(
        [*lost, *itertools.chain(*(CHECKS[name](seen) for name in names))], seen.profile
    )
