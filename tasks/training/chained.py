"""Several optimisers of one task."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class ChainedOptimizer(Optimizer):
    """Several optimisers that step one after the other as one, each with parameters of its own.

    To Lightning, clipping, schedules and checkpoints it is a single optimiser: it has the groups
    and the states of all. Parameters without a gradient stay as they are.

    Args:
        optimizers: in the order of their steps.

    Errors:
        ValueError: two of them share a parameter, or some are fused and some are not.
    """

    def __init__(self, *optimizers: Optimizer):
        self.optimizers = optimizers
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        if len({bool(group.get("fused")) for group in groups}) > 1:
            raise ValueError("some of these optimisers are fused and some are not")
        super().__init__(groups, {})
        self.share()

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether all leave out a step by `found_inf`, as PyTorch's gradient scaler asks."""
        return all(getattr(each, "_step_supports_amp_scaling", False) for each in self.optimizers)

    def share(self) -> None:
        """Gives each optimiser its groups, and all of them the same dictionary of states."""
        groups = iter(self.param_groups)
        for optimizer in self.optimizers:
            optimizer.state = self.state
            count = len(optimizer.param_groups)
            optimizer.param_groups = list(itertools.islice(groups, count))

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: beside groups and states the optimisers."""
        state: dict[str, Any] = super().__getstate__()
        return {**state, "optimizers": self.optimizers}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the states and groups of all optimisers from a checkpoint."""
        super().load_state_dict(state_dict)
        self.share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Computes loss and gradients by `closure`, if there is one, and steps all optimisers."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers:
            if hasattr(self, "found_inf"):  # fused kernels leave out a step by it
                optimizer.found_inf = self.found_inf  # type: ignore[attr-defined]
            optimizer.step()
        return loss
