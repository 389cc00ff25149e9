"""Weights that return to a slow average of themselves every few steps."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from tasks.parts import own_of, placed_like
from tasks.training.after_step import AfterStep

KEPT = 0.95**5  # share of the slow weights that stays at the end of a run


class Lookahead(AfterStep):
    """Averages weights and buffers every few steps, and training goes on from the average.

    Equation: s <- d s + (1 - d) w and w <- s, d = 0.95^5 (t / T)^3 at step t of T, whenever the
    steps that are left divide by `every`, so that the last step is followed by one. s begins as w.

    Source: Zhang et al. 2019, arXiv:1907.08610, with a constant d; Jordan 2024, arXiv:2404.00498,
        section 3.4.

    Args:
        every: steps between two averages.
    """

    state_key = "Lookahead"  # in checkpoints

    def __init__(self, every: int):
        self.every = every
        self.live: list[Tensor] = []  # the model's own memory, without gradients
        self.slow: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, task: Any) -> None:
        state = task.model.state_dict()
        names = [name for name, value in state.items() if value.is_floating_point()]
        self.live = [state[name] for name in names]
        self.slow = {
            name: placed_like(self.slow.get(name, state[name]), state[name]) for name in names
        }

    def stepped(self, trainer: Trainer) -> None:
        if (trainer.max_steps - self.step) % self.every == 0:
            slow, live = own_of(self.slow.values()), own_of(self.live)
            torch._foreach_lerp_(slow, live, 1 - KEPT * (self.step / trainer.max_steps) ** 3)
            torch._foreach_copy_(live, slow)

    def state_dict(self) -> dict[str, Any]:
        return {"slow": self.slow}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.slow = state_dict["slow"]
