"""Training steps and validations as CUDA graphs: recorded once, then repeated whole."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loops.optimization.automatic import ClosureResult
from torch import Tensor

from tasks.fast_callback import FastCallback
from tasks.training.rates import lending
from tasks.training.recording import Recorder, Repeated
from tasks.training.two_parts import Input, InTwoParts
from tasks.training.uncaptured import refuse_options, refuse_task, refuse_trainer

log = logging.getLogger("zoo")


class StepGraphs(FastCallback):
    """Has the GPU repeat recorded steps: forward, backward, clipping and the optimiser at one call.

    The first steps of each kind are taken as ever. Then Lightning takes one while it is recorded,
    so that its hooks come in their order, and the recording takes the place of the others. What
    changes from step to step is brought to fixed memory before: the batch and the learning rates.
    Counters, the schedule, the log, averages of weights and checkpoints stay outside, and PyTorch's
    generator moves on as if each step had drawn from it. So weights are those of a run without.

    Batches of a validation are repeated in the same way, unless the task has an `eval_sums` of its
    own; the evaluation after training, whose model has left the device once, is not.

    Args:
        training: the options of training.
    """

    def __init__(self, training: Any):
        self.training = training
        self.prepared: Sequence[Input] = ()
        self.rates: list[Tensor] = []  # of each group of parameters, on the device
        self.filled: list[float] = []  # their values

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        refuse_options(self.training)
        refuse_task(self.training, task)
        refuse_trainer(trainer)
        draws = [each for each in task.generators.values() if each.device.type == "cuda"]
        recorder = Recorder(draws)
        self.steps = Repeated(recorder, "training step")
        self.evaluations = Repeated(recorder, "step of a validation")
        groups = trainer.optimizers[0].param_groups
        self.rates = [torch.zeros((), dtype=torch.float32, device=task.device) for _ in groups]
        self.filled = [0.0] * len(groups)
        task.graphs = self

    def on_train_batch_start(self, trainer: Trainer, task: Any, batch: Any, index: int) -> None:
        self.prepared = task.prepared(batch, task.shard)

    def loss(self, task: Any) -> Tensor:
        """The loss `[]` of the batch that comes next."""
        value: Tensor = task.loss_of(*self.prepared)
        return value

    def step(self, task: Any, optimizer: Any, closure: Any) -> None:
        """Takes a training step.

        Args:
            task: that is trained.
            optimizer: Lightning's.
            closure: Lightning's, which computes the loss and its gradients.
        """

        def take(prepared: Sequence[Input]) -> tuple[Tensor, Tensor]:
            self.prepared = prepared
            optimizer.step(closure=closure)
            optimizer.zero_grad()
            return task.train_loss, task.grad_norm

        groups = optimizer.param_groups
        self.fill(groups)
        lent = lending(groups, self.rates, capturable=True)
        (task.train_loss, task.grad_norm), repeated = self.steps(self.prepared, take, lent)
        if repeated:
            if task.guard:
                task.guard.note(task.grad_norm)
            closure._result = ClosureResult(None)  # Lightning asks whether it was called

    def fill(self, groups: Sequence[dict[str, Any]]) -> None:
        """Brings the learning rates to where recorded steps read them."""
        for number, group in enumerate(groups):
            if group["lr"] != self.filled[number]:
                self.rates[number].fill_(group["lr"])
                self.filled[number] = group["lr"]

    def eval_sums(self, task: Any, batch: Any) -> dict[str, Tensor]:
        """The sums over a batch of a validation."""
        if type(task).eval_sums is not InTwoParts.eval_sums:
            sums: dict[str, Tensor] = task.eval_sums(batch)
        else:
            prepared = task.eval_prepared(batch)
            sums, _ = self.evaluations(prepared, lambda given: task.sums_of(*given))
        return sums

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        """Gives the memory back, and says how much was repeated."""
        task.graphs = None
        steps, kinds = self.steps, len(self.steps.kinds)
        what = "%d of %d steps repeated as CUDA graphs; kinds of batches: %d, recorded: %d"
        say = log.info if steps.repeats else log.warning
        say(what, steps.repeats, steps.calls, kinds, steps.recorded)
        if many := self.evaluations.calls:
            log.info("%d of %d batches of validations repeated", self.evaluations.repeats, many)
        del self.steps, self.evaluations
