"""Training steps as CUDA graphs: recorded once for each shape of a batch, then repeated whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loops.optimization.automatic import ClosureResult
from torch import Tensor

from tasks.fast_callback import FastCallback
from tasks.training.rates import lending
from tasks.training.two_parts import Input
from tasks.training.uncaptured import (
    refuse_options,
    refuse_task,
    refuse_trainer,
    refusing_what_cannot_repeat,
)

log = logging.getLogger("zoo")
WARM_UP = 3  # steps of each kind that are taken as ever, in which libraries choose their kernels
MOST = 8  # kinds of steps that are recorded


class Recorder:
    """Records what a function gives the GPU to do.

    Args:
        draws: generators of the GPU that the function draws from beside PyTorch's own.
    """

    def __init__(self, draws: Sequence[torch.Generator]):
        self.draws = draws
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Callable[[], None]) -> None:
        """Calls a function with the stream on which it will be recorded."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            function()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Returns what has the GPU do the work of a function, which it has not done by then.

        All recordings share their memory: what one has computed holds until another is repeated.
        """
        graph = torch.cuda.CUDAGraph()
        for draws in self.draws:
            graph.register_generator_state(draws)
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            function()
        return graph.replay


@dataclass
class Kind:
    """Steps whose batches have the same shapes.

    Args:
        taken: how many have been taken as ever.
        inputs: memory from which the recorded step reads its batch.
        results: where it leaves its loss and the norm of its gradient.
        repeat: has the GPU do the recorded step; None before one is.
    """

    taken: int = 0
    inputs: list[Input] = field(default_factory=list)
    results: tuple[Tensor, Tensor] | None = None
    repeat: Callable[[], None] | None = None

    def show(self, prepared: Sequence[Input]) -> None:
        """Copies a batch to where the recorded step reads it."""
        for place, value in zip(self.inputs, prepared, strict=True):
            if isinstance(place, Tensor) and isinstance(value, Tensor):
                place.copy_(value)


class StepGraphs(FastCallback):
    """Has the GPU repeat recorded steps: forward, backward, clipping and the optimiser at one call.

    The first steps of each kind are taken as ever. Then Lightning takes one while it is recorded,
    so that its hooks come in their order, and the recording takes the place of the others. What
    changes from step to step is brought to fixed memory before: the batch and the learning rates.
    Counters, the schedule, the log, averages of weights and checkpoints stay outside, and PyTorch's
    generator moves on as if each step had drawn from it. So weights are those of a run without.

    Args:
        training: the options of training.
    """

    def __init__(self, training: Any):
        self.training = training
        self.kinds: dict[tuple[Any, ...], Kind] = {}
        self.prepared: Sequence[Input] = ()
        self.rates: list[Tensor] = []  # of each group of parameters, on the device
        self.filled: list[float] = []  # their values
        self.steps = self.repeated = 0

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        refuse_options(self.training)
        refuse_task(self.training, task)
        refuse_trainer(trainer)
        draws = [each for each in task.generators.values() if each.device.type == "cuda"]
        self.recorder = Recorder(draws)
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

        def as_ever() -> None:
            optimizer.step(closure=closure)
            optimizer.zero_grad()

        self.steps += 1
        kind = self.kinds.setdefault((*map(form, self.prepared),), Kind())
        full = sum(each.repeat is not None for each in self.kinds.values()) == MOST
        if not kind.repeat and (kind.taken < WARM_UP or full):
            kind.taken += 1
            self.recorder.warm_up(as_ever)
            return
        self.fill(optimizer.param_groups)
        if kind.repeat:
            kind.show(self.prepared)
        else:
            self.prepared = kind.inputs = [*map(own, self.prepared)]
            groups = optimizer.param_groups
            with lending(groups, self.rates, capturable=True), refusing_what_cannot_repeat():
                kind.repeat = self.recorder.record(as_ever)
            kind.results = task.train_loss, task.grad_norm
        kind.repeat()
        assert kind.results
        task.train_loss, task.grad_norm = (value.clone() for value in kind.results)
        if task.guard:
            task.guard.note(task.grad_norm)
        closure._result = ClosureResult(None)  # Lightning asks whether it was called
        self.repeated += 1

    def fill(self, groups: Sequence[dict[str, Any]]) -> None:
        """Brings the learning rates to where recorded steps read them."""
        for number, group in enumerate(groups):
            if group["lr"] != self.filled[number]:
                self.rates[number].fill_(group["lr"])
                self.filled[number] = group["lr"]

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        """Gives the memory back, and says how much was repeated."""
        task.graphs = None
        recorded = sum(kind.repeat is not None for kind in self.kinds.values())
        what = "%d of %d steps repeated as CUDA graphs; kinds of batches: %d, recorded: %d"
        say = log.info if self.repeated else log.warning
        say(what, self.repeated, self.steps, len(self.kinds), recorded)
        self.kinds.clear()


def form(value: Input) -> Any:
    """What must be the same in two batches for the same recorded step."""
    return (value.shape, value.stride(), value.dtype) if isinstance(value, Tensor) else value


def own(value: Input) -> Input:
    """A copy of a tensor; anything else as it is."""
    return value.clone() if isinstance(value, Tensor) else value
