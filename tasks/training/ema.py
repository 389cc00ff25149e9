"""A running average of the weights, which evaluation uses."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from tasks.parts import own_of, placed_like, whole
from tasks.training.after_step import AfterStep


class EMA(AfterStep):
    """Averages weights and buffers after every step; validation, result and checkpoint show it.

    Equation: a <- d a + (1 - d) w, d = min(decay, (1 + n) / (10 + n)) after n earlier steps; 0 at
    first. Counts stay those of the weights. A checkpoint keeps the weights w beside it. It is
    called before other callbacks, but for `Lookahead`: they find the averages up to date.

    Args:
        decay: the largest d.
    """

    def __init__(self, decay: float):
        self.decay = decay
        self.names: list[str] = []
        self.live: list[Tensor] = []  # the model's own memory, without gradients
        self.averages: list[Tensor] = []  # of each
        self.aside: list[Tensor] = []  # the weights, while the model shows the averages

    def on_fit_start(self, trainer: Trainer, task: Any) -> None:
        state = task.model.state_dict()
        earlier = dict(zip(self.names, self.averages, strict=True))
        self.names = [name for name, value in state.items() if value.is_floating_point()]
        self.live = [state[name] for name in self.names]
        self.averages = [
            placed_like(earlier.get(name, state[name]), state[name]) for name in self.names
        ]

    def stepped(self, trainer: Trainer) -> None:
        before = self.step - 1
        decay = min(self.decay, (1 + before) / (10 + before)) if before else 0.0
        torch._foreach_lerp_(own_of(self.averages), own_of(self.live), 1 - decay)

    def on_validation_epoch_start(self, trainer: Trainer, task: Any) -> None:
        self.aside = [weight.clone() for weight in self.live]
        torch._foreach_copy_(own_of(self.live), own_of(self.averages))

    def on_validation_end(self, trainer: Trainer, task: Any) -> None:
        torch._foreach_copy_(own_of(self.live), own_of(self.aside))
        self.aside = []

    def on_fit_end(self, trainer: Trainer, task: Any) -> None:
        state = task.model.state_dict()  # whole, and off the device by now, so no longer `live`
        for name, average in zip(self.names, self.averages, strict=True):
            state[name].copy_(whole(average))

    def on_save_checkpoint(self, trainer: Trainer, task: Any, checkpoint: dict[str, Any]) -> None:
        names = [f"model.{name}" for name in self.names]
        state, weights = checkpoint["state_dict"], self.aside or self.live
        checkpoint["weights"] = state | dict(zip(names, weights, strict=True))
        checkpoint["state_dict"] = state | dict(zip(names, self.averages, strict=True))

    def on_load_checkpoint(self, trainer: Trainer, task: Any, checkpoint: dict[str, Any]) -> None:
        averages = checkpoint["state_dict"]
        self.names = [name.removeprefix("model.") for name in averages]
        self.averages = list(averages.values())
        task.load_state_dict(checkpoint["weights"])
