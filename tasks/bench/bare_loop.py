"""The plainest training loop over the model, data and optimiser of a task."""

from __future__ import annotations

import torch

from tasks.training.module import Task
from tasks.training.trainer import TrainerOptions


class BareLoop:
    """The plainest loop over the same model, data, optimiser and schedule.

    It clips and validates as `fit` does. Its moving average is of the parameters alone and decays
    evenly from the first step on.

    Args:
        task: set up for training.
        steps: of the whole run, for the schedule.
        training: the options of training.
    """

    def __init__(self, task: Task, steps: int, training: TrainerOptions):
        self.task, self.validate_every = task, training.validate_every
        self.clip, self.ema = training.clip, training.ema
        self.weights = list(task.model.parameters())
        self.means = [weight.detach().clone() for weight in self.weights]
        self.batches = iter(task.train_loader())
        self.validations = list(task.loader("val"))
        epoch = task.batches_per_pass()
        made = task.options.build(task.model, steps, task.batch_size, epoch)
        self.optimizer = made["optimizer"]
        self.schedule = made["lr_scheduler"]["scheduler"] if "lr_scheduler" in made else None
        self.done = 0

    def run(self, steps: int) -> None:
        """Takes so many training steps."""
        task, optimizer = self.task, self.optimizer
        for batch in (next(self.batches) for _ in range(steps)):
            task.loss(batch).backward()
            if self.clip:
                torch.nn.utils.clip_grad_norm_(self.weights, self.clip)
            optimizer.step()
            optimizer.zero_grad()
            if self.schedule:
                self.schedule.step()
            if self.ema:
                with torch.no_grad():
                    torch._foreach_lerp_(self.means, self.weights, 1 - self.ema)
            self.done += 1
            if self.done % self.validate_every == 0:
                task.model.eval()
                with torch.no_grad():
                    for part in self.validations:
                        [value.cpu() for value in task.eval_sums(part).values()]
                task.model.train()
