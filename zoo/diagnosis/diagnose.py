"""`zoo.diagnose`: which known causes keep a net from training, and where."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import SparseAdam

from zoo.diagnosis.causes import collapse, gradients, norms, numbers, skips, steps, sums, units
from zoo.diagnosis.examination import Examination
from zoo.diagnosis.examine import examine
from zoo.diagnosis.finding import CAUSES, Finding
from zoo.diagnosis.further_passes import never_used
from zoo.diagnosis.profiles import Profile, profiles_of
from zoo.probes.stream.profile import StreamProfile
from zoo.probes.watch.untouched import Loss
from zoo.system.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cause = Callable[[Examination], Iterator[Finding]]
HOMES = (numbers, gradients, skips, collapse, sums, units, norms, steps)
CHECKS: dict[str, Cause] = {
    name: next(getattr(home, name) for home in HOMES if hasattr(home, name)) for name in CAUSES
}
OF_GRADIENTS = ("vanishing_gradients", "exploding_gradients", "idle_branch", "equal_units")
OF_STEPS = ("step_too_large", "step_too_small")


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a net, and what its stream does.

    Args:
        findings: in the order of `CAUSES`, roots before what follows from them.
        profile: of the stream; None of a net without skips.
        profiles: measures by depth, with words, for the figure and the page.
        net: the name of its class.
        checked: causes that were looked for.
    """

    findings: list[Finding]
    profile: StreamProfile | None
    profiles: dict[str, Profile] = field(default_factory=dict)
    net: str = ""
    checked: tuple[str, ...] = tuple(CAUSES)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "nothing is found"

    def figure(self) -> Figure:
        """A figure of what the net does by depth; dotted: the places of findings."""
        from zoo.diagnosis.pictures import figure_of

        marked = {finding.where for finding in self.findings}
        return figure_of(list(self.profiles.values()), marked)

    def page(self, path: str | Path, title: str = "") -> None:
        """Writes findings and pictures, with words on each, as a page that needs nothing else.

        Args:
            path: of the file, such as `diagnosis.html`; its folder is there.
            title: what was diagnosed; empty: the class of the net.
        """
        from zoo.diagnosis.page import html

        atomic_write(Path(path), html(self, title))


def diagnose(
    module: nn.Module,
    batch: Any,
    loss: Loss,
    optimizer: torch.optim.Optimizer | None = None,
    clip: float | None = None,
) -> Diagnosis:
    """What is wrong with a net, found in one forward and backward pass, and a few more if some
    parameters have no part in that one.

    Nothing of the net is changed: neither parameters, buffers, mode, gradients nor random states;
    what a forward itself writes into its parameters stays (but for embeddings with `max_norm`).
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
    seen.unused = never_used(module, batch, loss, seen.unused)
    lost = list(CHECKS["non_finite"](seen))
    known = known_causes(seen)
    names = ["fp16_overflow"] if lost else known[1:]
    findings = [*lost, *itertools.chain(*(CHECKS[name](seen) for name in names))]
    net, checked = type(module).__name__, (known[0], *names)
    return Diagnosis(findings, seen.profile, profiles_of(seen), net, checked)


def known_causes(seen: Examination) -> list[str]:
    """The causes that can be looked for: those of steps need an optimiser and gradients."""
    unknown: set[str] = set()
    if seen.optimizer is None:
        unknown |= {"decayed_norms", *OF_STEPS}
    elif steps.needs_closure(seen.optimizer) or isinstance(seen.optimizer, SparseAdam):
        unknown |= {*OF_STEPS}  # which a copy of a weight and its dense gradient do not tell
    if not seen.gradients:
        unknown |= {*OF_GRADIENTS, *OF_STEPS}
    return [name for name in CAUSES if name not in unknown]
