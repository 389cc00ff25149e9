"""A callback that acts after every optimiser step, however many batches a step has."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from pytorch_lightning import Trainer

from tasks.fast_callback import FastCallback


class AfterStep(FastCallback):
    """Calls `stepped` after every optimiser step, and not between the batches of one.

    Attributes:
        step: the last step that was taken.
    """

    step = 0

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        self.step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        if trainer.global_step != self.step:
            self.step = trainer.global_step
            self.stepped(trainer)

    @abstractmethod
    def stepped(self, trainer: Trainer) -> None:
        """Acts after a step, whose number is `step`."""
        raise NotImplementedError
