"""The Lightning module that every task shares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tasks.training.hooks import TaskHooks, Totals
from tasks.training.optim import Optimizer
from tasks.training.reported import Reported
from zoo.shard import WHOLE, Shard

MakeModel = Callable[..., nn.Module]


class Task(Reported, TaskHooks):
    """A model, its data and its loss. A subclass gives the batches, `loss` and `eval_sums`.

    A line through points, `x` `[N, F]` and `y` `[N, 1]`, whose batches are the numbers of points.
    Lightning calls `setup` once the model is on its device, which brings the points there;
    `SequentialBatches` cuts the numbers of a split into batches of at most 512, in order, for
    evaluation:

    >>> from itertools import repeat
    >>> from types import SimpleNamespace
    >>> from tasks.data.batches import SequentialBatches
    >>> from tasks.training.optimizers import SGD
    >>> class Line(Task):
    ...     example_model_args = {"inputs": 2}
    ...
    ...     def model_args(self, data):
    ...         return {"inputs": data.x.shape[1]}
    ...
    ...     def setup(self, stage):
    ...         self.x, self.y = self.data.x.to(self.device), self.data.y.to(self.device)
    ...
    ...     def train_loader(self, number=0):
    ...         return repeat(self.data.parts["train"])
    ...
    ...     def batches_per_pass(self):
    ...         return 1
    ...
    ...     def loader(self, part):
    ...         return SequentialBatches(self.data.parts[part], 512)
    ...
    ...     def errors(self, examples):
    ...         return (self.model(self.x[examples]) - self.y[examples]).square().sum()
    ...
    ...     def loss(self, batch, shard=WHOLE):
    ...         mine = batch[shard.rank :: shard.world]
    ...         return self.errors(mine) * (shard.world / len(batch))
    ...
    ...     def eval_sums(self, batch):
    ...         count = torch.full((), len(batch), device=self.device)
    ...         return {"loss": self.errors(batch), "count": count}
    >>> numbers = torch.arange(6).split(2)
    >>> parts = dict(zip(("train", "val", "test"), numbers))
    >>> data = SimpleNamespace(x=torch.ones(6, 2), y=torch.ones(6, 1), parts=parts)
    >>> task = Line(lambda inputs: nn.Linear(inputs, 1), data, SGD(), seed=0)
    >>> task.setup("fit")
    >>> task.loss(next(iter(task.train_loader()))).shape
    torch.Size([])

    Data of a run has `notes`, `summary()` and `digest()` beside its `parts`, and `data_type` is
    its class. All your other methods are called after `setup`, so model and data are on one
    device; you move only what you make yourself.

    Args:
        make_model: makes the model from what `model_args` gives.
        data: what a data source loaded.
        optimizer: options of the optimiser.
        seed: of the task's named generators.

    Attributes:
        data_type: class of the data.
        example_model_args: stand in for `model_args`, to check a model's options without data.
        primary: name of the metric that speaks for the task, and whether higher is better.
        asks: attributes that a model must have beside `forward`.
        verbs: for a verb, such as `sample`, the class that does it; its options are the verb's.
        trained: the class that answers new inputs in Python, which `zoo.load` gives.
        batch_size: examples of a batch over all processes, where the data comes in batches.
        shapes_vary: the option by which batches differ in their shapes, if one does.
        generators: the task's named generators; checkpoints keep their states.
        shard: which process of how many this is.
        compute_device: where the run computes.
        dropped_batches: training batches left out so far, by returns to an earlier step.
        chosen: what a run chose at its start, such as the form of a product, and goes on with.
    """

    data_type: ClassVar[type] = object
    example_model_args: ClassVar[dict[str, Any]] = {}
    primary: ClassVar[tuple[str, bool]] = ("loss", False)
    asks: ClassVar[tuple[str, ...]] = ()
    verbs: ClassVar[dict[str, str]] = {}
    trained: ClassVar[str] = "tasks.inference.trained_module.Trained"
    batch_size: int | None = None
    shapes_vary: str = ""

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
        self.chosen: dict[str, str] = {}
        self.sums: dict[str, Totals] = {}
        self.last_metrics: dict[str, dict[str, float]] = {}
        self.shard = WHOLE
        self.compute_device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    # What a subclass gives.

    @abstractmethod
    def model_args(self, data: Any) -> dict[str, Any]:
        """Returns what the model must know of the data, such as its number of classes."""
        raise NotImplementedError

    @abstractmethod
    def train_loader(self, number: int = 0) -> Iterable[Any]:
        """Returns the training batches without end, from batch `number` on, where a run resumes.

        The same number is the same batch, however the run came to it. Every process gets the
        whole batches and takes its share of each in `loss`.
        """
        raise NotImplementedError

    @abstractmethod
    def batches_per_pass(self) -> int:
        """Counts the batches in one pass over the training data."""
        raise NotImplementedError

    @abstractmethod
    def loss(self, batch: Any, shard: Shard = WHOLE) -> Tensor:
        """Computes the training loss `[]` of this process's share of a batch.

        The mean over processes is the loss of the whole batch. Layers that draw for whole batches
        are told of the share by `zoo.shard.set_shard`, so that a run does not depend on the number
        of its processes.

        Args:
            batch: of `train_loader`.
            shard: which process of how many this is.
        """
        raise NotImplementedError

    @abstractmethod
    def loader(self, part: str) -> Iterable[Any]:
        """Gives the batches of one pass for evaluation on `train`, `val` or `test`."""
        raise NotImplementedError

    @abstractmethod
    def eval_sums(self, batch: Any) -> Totals:
        """Sums loss `[]`, other metrics `[]` and `count` `[]` over the examples of a batch.

        Sums of any other shape are for a `metrics_from_sums` of its own.
        """
        raise NotImplementedError

    # What a subclass may change, beside the methods of `Reported`.

    def metrics_from_sums(self, totals: Totals) -> dict[str, float]:
        """Turns the totals of all batches into metrics: means over the examples."""
        sums = {name: value.item() for name, value in totals.items()}
        count = sums.pop("count")
        return {name: value / count for name, value in sums.items()}

    def configure_optimizers(self) -> Any:
        """Makes the optimiser and its schedule; several optimisers as one `ChainedOptimizer`."""
        steps, several = int(self.trainer.max_steps), self.trainer.accumulate_grad_batches
        images = self.batch_size and self.batch_size * several
        epoch = self.batches_per_pass() / several
        return self.options.build(self.model, steps, images, epoch)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None
    ) -> None:
        """Takes one optimisation step: loss, gradients, and the update by the optimiser.

        Optimisers that take turns, each after a loss of its own, step once for each turn; `loss`
        looks whose turn it is, and lets only the weights that move have gradients:

            def optimizer_step(self, *step):
                for self.turn in ("critic", "generator"):
                    super().optimizer_step(*step)

        Args:
            epoch: Lightning's, always 0.
            batch_idx: number of the batch.
            optimizer: of `configure_optimizers`.
            optimizer_closure: computes the loss of the batch and its gradients.
        """
        self.take_step(optimizer, optimizer_closure)
