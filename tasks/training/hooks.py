"""What Lightning calls of a task in a run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from tasks.training.fast_module import FastModule, signed
from tasks.training.gathering import Totals, gathered, on_host, refuse_other_data, summed
from tasks.training.layout import follow_layout
from zoo.shard import WHOLE, Shard


class Endless:
    """Batches without end, each time from the trainer's present step on.

    At the end of an epoch Lightning would make a step of fewer accumulated batches than usual.

    Args:
        start: gives the batches.
    """

    def __init__(self, start: Callable[[], Iterable[Any]]):
        self.start = start

    def __iter__(self) -> Iterator[Any]:
        return iter(self.start())


class Passes:
    """One pass over each of some parts of the data; a batch has the name of its part beside it.

    Processes take turns. In the last round of a part, one that has no batch gets another's, with
    None beside it: it is computed and not counted, because weights may be in parts.

    Args:
        loader: gives the batches of a part.
        parts: their names.
        turns: which process of how many this is.
    """

    def __init__(self, loader: Callable[[str], Iterable[Any]], *parts: str, turns: Shard = WHOLE):
        self.loaders = {part: loader(part) for part in parts}
        self.turns = turns

    def __iter__(self) -> Iterator[tuple[str | None, Any]]:
        rank, world = self.turns.rank, self.turns.world
        for part, batches in self.loaders.items():
            turn = world
            for number, batch in enumerate(batches):
                turn = number % world
                if turn == rank:
                    yield part, batch
            if turn < rank:
                yield None, batch


def follow(scheduler: LambdaLR) -> None:
    """Sets the rates of a schedule at its present step, which a new length of the run changes."""
    rates = zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    for group, (rate, factor) in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor(scheduler.last_epoch)


class TaskHooks(FastModule):
    """The loop around a task: batches from the right step on, sums of an evaluation, checkpoints.

    A step costs little: nothing is logged by `self.log`, and the last loss stays a tensor on its
    device until the log wants a number.
    """

    data: Any
    model: Any
    generators: dict[str, torch.Generator]
    dropped_batches: int
    chosen: dict[str, str]
    sums: dict[str, Totals]  # of each part of the data
    last_metrics: dict[str, dict[str, float]]
    shard: Shard
    undivided = ""  # what every process computes whole, so that several take no less time
    loss: Any  # this and what follows is declared in `Task`
    eval_sums: Any
    metrics_from_sums: Any
    loader: Any
    train_loader: Any

    def on_fit_start(self) -> None:
        self.compute_device = self.device
        self.shard = Shard(self.trainer.global_rank, self.trainer.world_size)
        refuse_other_data(gathered(self.trainer, self.data_digest()))

    def on_train_start(self) -> None:
        super().on_train_start()
        for optimizer in self.trainer.optimizers:
            follow_layout(optimizer)
        for config in self.trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, LambdaLR):
                follow(config.scheduler)

    def on_validation_start(self) -> None:
        self.compute_device = self.device

    def train_dataloader(self) -> Iterable[Any]:
        trainer = self.trainer

        def batches() -> Iterable[Any]:
            done = trainer.global_step * trainer.accumulate_grad_batches + self.dropped_batches
            return self.train_loader(done)

        return Endless(batches)

    def val_dataloader(self) -> Passes:
        turns = Shard(self.trainer.global_rank, self.trainer.world_size)
        return Passes(self.loader, "val", turns=turns)

    @signed
    def training_step(self, batch: Any, index: int) -> Tensor:
        loss = self.graphs.loss(self) if self.graphs else self.loss(batch, self.shard)
        self.train_loss = loss.detach()
        return self.guard.poison_gradient(loss) if self.guard else loss

    def on_validation_epoch_start(self) -> None:
        self.sums = {}
        self.last_metrics = {}

    def validation_step(self, batch: tuple[str | None, Any], index: int) -> None:
        self.alive()  # for the watchdog
        part, inputs = batch
        graphs = self.graphs
        found = graphs.eval_sums(self, inputs) if graphs else self.eval_sums(inputs)
        if part is None:
            return
        sums = self.sums.setdefault(part, {})
        for name, value in found.items():
            sums[name] = sums[name] + value if name in sums else value

    def metrics(self, part: str = "val") -> dict[str, float]:
        """Returns the metrics of a part in the evaluation that just ran, over all processes.

        For all parts together they wait for the device once.
        """
        if not self.last_metrics:
            for name, totals in summed(gathered(self.trainer, on_host(self.sums))).items():
                self.last_metrics[name] = self.metrics_from_sums(totals)
        return self.last_metrics[part]

    def data_digest(self) -> str:
        """Gives the SHA-256 of the data."""
        return self.data.digest()

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within, data and model are on the device of the run, the model in evaluation.

        A trainer that has ended takes the model off its device. `depth_profiles`, `final_metrics`
        and `figures` are called in here, so that in them everything lies on `self.device`. Nets
        run uncompiled, because each of these has shapes of its own.
        """
        before, training = self.device, self.model.training
        self.to(self.compute_device)
        self.setup("evaluate")
        self.model.eval()
        try:
            with torch.no_grad(), torch.compiler.set_stance("force_eager"):
                yield
        finally:
            self.model.train(training)
            self.to(before)

    def recall(self, record: dict[str, Any]) -> None:
        """Takes what a run chose at its start, from its checkpoint or result."""
        self.chosen = dict(record.get("chosen", {}))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["data_digest"] = self.data_digest()
        if hasattr(self.data, "metadata"):  # a trained model is used without its data
            checkpoint["outline"] = self.data.metadata()
        checkpoint["dropped_batches"] = self.dropped_batches
        checkpoint["chosen"] = self.chosen
        checkpoint["draws"] = {name: draws.get_state() for name, draws in self.generators.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.dropped_batches = checkpoint.get("dropped_batches", 0)
        self.recall(checkpoint)
        for name, draws in self.generators.items():
            draws.set_state(checkpoint["draws"][name].cpu())
