"""The Lightning module that every task shares."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from tasks.training.lightning_fast import FastModule, signed
from tasks.training.optim import Optimizer
from zoo.shard import WHOLE, Shard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Totals = dict[str, Tensor]  # sums over examples, for means with their number under `count`
MakeModel = Callable[..., nn.Module]


class Endless:
    """Batches without end, each time from the trainer's present step on.

    Lightning makes a step of what it has at the end of its outer loop's turns, so there are none.

    Args:
        start: gives the batches.
    """

    def __init__(self, start: Callable[[], Iterable[Any]]):
        self.start = start

    def __iter__(self) -> Iterator[Any]:
        return iter(self.start())


def follow(scheduler: LambdaLR) -> None:
    """Sets the rates that a schedule has at its step, also where the run's length has changed."""
    rates = zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    for group, (rate, factor) in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor(scheduler.last_epoch)


class Task(FastModule):
    """A model, its data and its loss. A subclass gives `loss`, `eval_sums` and the loaders.

    Where several processes share a batch, `loss` tells by `zoo.shard.set_shard` which rows are
    computed here: draws are for the whole batch, and random states are alike in all processes.

    All that a subclass gives is called where model and data lie on one device: in a step, in a
    validation or within `evaluating()`. It need not move anything but what it makes itself.

    The loop's cost is kept small: nothing is logged by `self.log`; the last loss stays a tensor
    until the recorder wants it.

    Args:
        make_model: the model's class with its options; called with the facts of the data.
        data: what a data source loaded.
        optimizer: options of the optimiser.
        seed: of the task's named generators.

    Attributes:
        draws: the task's named generators; checkpoints keep their states.
        takes: the class of the data.
        facts: stand-ins for the facts of the data, to check a model's options without data.
        primary: name of the metric that speaks for the task, and whether higher is better.
        home: the device where the run computes.
        dropped_batches: training batches that returns to an earlier step have left out so far.
        batch_size: examples of a batch over all processes, where the data comes in batches.
        asks: attributes that the task asks of a model beside calling it.
        verbs: the class that does a verb of the command line with a trained task, such as
            `sample`; its options are the verb's.
        shard: which process of how many this is.
        trained: the class that answers new inputs in Python, which `zoo.load` gives.
    """

    data_type: ClassVar[type] = object
    example_model_args: ClassVar[dict[str, Any]] = {}
    primary: ClassVar[tuple[str, bool]] = ("loss", False)
    batch_size: int | None = None
    asks: ClassVar[tuple[str, ...]] = ()
    verbs: ClassVar[dict[str, str]] = {}
    trained: ClassVar[str] = "tasks.inference.trained.Trained"

    def __init__(self, make_model: MakeModel, data: Any, optimizer: Optimizer, seed: int):
        super().__init__()
        self.seed = seed
        self.data = data
        self.model: Any = make_model(**self.model_args(data))
        self.options = optimizer
        self.train_loss = torch.tensor(torch.nan)
        self.trained_on = ""  # the digest of the data, of a run that is used
        self.generators: dict[str, torch.Generator] = {}
        self.dropped_batches = 0
        self.sums: Totals = {}
        self.measured: dict[str, float] = {}
        self.shard = WHOLE
        self.compute_device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    # What a subclass gives.

    @abstractmethod
    def model_args(self, data: Any) -> dict[str, Any]:
        """What the model must know of the data."""
        raise NotImplementedError

    @abstractmethod
    def loss(self, batch: Any, shard: Shard = WHOLE) -> Tensor:
        """The training loss of this process's part of a batch."""
        raise NotImplementedError

    @abstractmethod
    def eval_sums(self, batch: Any) -> Totals:
        """Sums over the examples of a batch: loss, other metrics and `count`."""
        raise NotImplementedError

    def metrics_from_sums(self, totals: Totals) -> dict[str, float]:
        """The metrics from the totals of all batches: means over the examples."""
        sums = {name: value.item() for name, value in totals.items()}
        count = sums.pop("count")
        return {name: value / count for name, value in sums.items()}

    @abstractmethod
    def loader(self, part: str) -> Iterable[Any]:
        """The batches of one pass for evaluation on `train`, `val` or `test`."""
        raise NotImplementedError

    @abstractmethod
    def train_loader(self, world: int, rank: int, number: int = 0) -> Iterable[Any]:
        """This process's training batches from a number on, without end."""
        raise NotImplementedError

    @abstractmethod
    def batches_per_pass(self, world: int) -> int:
        """The batches of one process in one pass over the training data."""
        raise NotImplementedError

    def chance_metrics(self) -> dict[str, float]:
        """Test metrics of the best answer that ignores the input."""
        return {}

    def depth_profiles(self) -> dict[str, list[float]]:
        """What the stream shows by depth: values before the first and after every branch."""
        return {}

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None
    ) -> None:
        """Takes one optimisation step: loss, gradients and the update by one optimiser.

        Several optimisers are given by `configure_optimizers` as one `ChainedOptimizer`. Where
        they take turns, a subclass says whose turn it is and steps once for each: `loss` looks at
        it, and lets only the weights that move have gradients.

            def optimizer_step(self, *step):
                for self.turn in ("critic", "generator"):
                    super().optimizer_step(*step)

        Args:
            epoch: of Lightning's, always 0.
            batch_idx: number of the batch.
            optimizer: steps with the gradients that the closure leaves.
            optimizer_closure: computes the loss of the batch and its gradients.
        """
        optimizer.step(closure=optimizer_closure)
        optimizer.zero_grad()

    def final_metrics(self) -> dict[str, float]:
        """Metrics of the finished run that belong to no part of the data, as `group/name`."""
        return {}

    def progress_figures(self, step: int) -> dict[str, Figure]:
        """Figures on the way, asked for after every validation."""
        return {}

    def figures(self, title: str) -> dict[str, Figure]:
        """Figures of the data and of what the model makes of it."""
        return {}

    # What all tasks share.

    def data_digest(self) -> str:
        """SHA-256 of the data."""
        return self.data.digest()

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Data and model where the run computes, the model in evaluation; also without a trainer.

        A trainer that has ended takes the model off its device. `depth_profiles`, `final_metrics`
        and `figures` are called in here as a whole, so that in them `self.device` is where
        everything lies.
        """
        before, training = self.device, self.model.training
        self.to(self.compute_device)
        self.setup("evaluate")
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.model.train(training)
            self.to(before)

    def on_fit_start(self) -> None:
        self.compute_device = self.device
        self.shard = Shard(self.trainer.global_rank, self.trainer.world_size)

    def on_train_start(self) -> None:
        super().on_train_start()
        for config in self.trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, LambdaLR):
                follow(config.scheduler)

    def on_validation_start(self) -> None:
        self.compute_device = self.device

    def train_dataloader(self) -> Iterable[Any]:
        trainer = self.trainer

        def batches() -> Iterable[Any]:
            done = trainer.global_step * trainer.accumulate_grad_batches + self.dropped_batches
            return self.train_loader(trainer.world_size, trainer.global_rank, done)

        return Endless(batches)

    def val_dataloader(self) -> Iterable[Any]:
        return self.loader("val")

    @signed
    def training_step(self, batch: Any, index: int) -> Tensor:
        loss = self.loss(batch, self.shard)
        self.train_loss = loss.detach()
        return self.guard.spoiled(loss) if self.guard else loss

    def on_validation_epoch_start(self) -> None:
        self.sums = {}
        self.measured = {}

    def validation_step(self, batch: Any, index: int) -> None:
        self.alive()
        for name, value in self.eval_sums(batch).items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def metrics(self) -> dict[str, float]:
        """Metrics of the evaluation pass that just ran, over all processes."""
        if not self.measured:
            flat = torch.cat([value.double().flatten() for value in self.sums.values()])
            if self.trainer.world_size > 1:
                flat = self.trainer.strategy.reduce(flat, reduce_op="sum")
            parts = flat.cpu().split([value.numel() for value in self.sums.values()])
            sums = self.sums.items()
            self.measured = self.metrics_from_sums(
                {k: part.view(v.shape) for (k, v), part in zip(sums, parts, strict=True)}
            )
        return self.measured

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["data_digest"] = self.data_digest()
        if hasattr(self.data, "outline"):  # a trained model is used without its data
            checkpoint["outline"] = self.data.outline()
        checkpoint["dropped_batches"] = self.dropped_batches
        checkpoint["draws"] = {name: draws.get_state() for name, draws in self.generators.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.dropped_batches = checkpoint.get("dropped_batches", 0)
        for name, draws in self.generators.items():
            draws.set_state(checkpoint["draws"][name].cpu())

    def configure_optimizers(self) -> Any:
        trainer = self.trainer
        fused = trainer.precision != "16-mixed"  # a fused step unscales after clipping
        steps = int(trainer.max_steps)
        images = self.batch_size and self.batch_size * trainer.accumulate_grad_batches
        epoch = self.batches_per_pass(trainer.world_size) / trainer.accumulate_grad_batches
        return self.options.build(self.model, steps, fused, images, epoch)
