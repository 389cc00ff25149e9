"""What a class of each kind must have: a run checks what other packages give by these names.

An attribute or method named here must be there; a base class says which of them it brings along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from zoo.connection import State, TensorFunction
from zoo.run_folder import RunFolder
from zoo.shard import WHOLE, Shard

Make = Callable[[], nn.Module]


class Data(Protocol):
    """What a data source loads. The class is a source's own; a task names it in `data_type`."""

    @property
    def parts(self) -> Mapping[str, Any]:
        """The examples of `train`, `val` and `test`; each has a length."""

    @property
    def notes(self) -> Sequence[str]:
        """What is odd in the data, one line each; a run begins by showing them."""

    def summary(self) -> str:
        """What was read, in one line."""

    def digest(self) -> str:
        """SHA-256 of all that is learned from: a run goes on only with the same data."""


class OutlinedData(Data, Protocol):
    """What the source of a task with verbs loads: a trained model is used without its data."""

    def metadata(self) -> dict[str, Any]:
        """What a trained model must know of the data, in plain values and small tensors."""


class DataSource(Protocol):
    """A class in `configs/data`; every option has a default."""

    def load(self) -> Data:
        """The data; the annotation names their class."""


class TaskClass(Protocol):
    """A class in `configs/task`, of the base `tasks.training.module.Task`.

    Called with `make_model, data, optimizer, seed` and its options.

    Attributes:
        data_type: the class of data that it takes.
        example_model_args: stand-ins for what `model_args` gives, to build a model without data.
        primary: the metric that speaks for it, and whether higher is better.
        asks: attributes that it asks of a model.
        verbs: for verbs of the command line, such as `sample`, the class that does them.
    """

    data_type: ClassVar[type]
    example_model_args: ClassVar[dict[str, Any]]
    primary: ClassVar[tuple[str, bool]]
    asks: ClassVar[tuple[str, ...]]
    verbs: ClassVar[dict[str, str]]

    def batches_per_pass(self) -> int:
        """The batches in one pass over the training data, at least 1."""

    def eval_sums(self, batch: Any) -> dict[str, Tensor]:
        """Sums over a batch of `loader`: `loss`, other metrics and `count`."""

    def loader(self, part: str) -> Iterable[Any]:
        """The batches of one pass for evaluation on `train`, `val` or `test`."""

    def loss(self, batch: Any, shard: Shard = WHOLE) -> Tensor:
        """The training loss `[]` of this process's share of a batch of `train_loader`."""

    def model_args(self, data: Any) -> dict[str, Any]:
        """What the model is built for, such as its channels in and out."""

    def train_loader(self, number: int = 0) -> Iterable[Any]:
        """The training batches from a number on, without end; whole ones in every process."""


class ModelClass(Protocol):
    """A class in `configs/model`, of the base `torch.nn.Module`, with an option `depth`.

    Called with what the task's `model_args` gives, `connect`, `norm_placement` and its options.
    """

    @property
    def forward(self) -> Callable[..., Any]:
        """Computes the output for the inputs that the task passes."""


class Rule(Protocol):
    """A class in `configs/connection`; `zoo.connection.Connection` has defaults of all but `write`.

    Called with a site and its options.
    """

    def open(self, x: Tensor) -> State: ...
    def read(self, state: State) -> tuple[Tensor, Any]: ...
    def write(self, state: State, y: Tensor, mix: Any) -> State: ...
    def close(self, state: State) -> Tensor: ...
    def map(self, fn: TensorFunction, state: State) -> State: ...
    def post(self, fn: TensorFunction, state: State) -> State: ...


class NormPlacement(Protocol):
    """A class in `configs/norm`; `zoo.norm.Placement` has defaults of all of it.

    `leads`: in a chain of layers, norm and activation come before each one; `follows`: a norm
    comes after each; `closes`: the chain ends with a norm all the same; `normed`: there are
    any. `chain` makes a branch of layers, `branch` puts norms around one that is whole, `post`
    is the norm after a write and `after_write` what else is done there, `close` what stands
    before the head.
    """

    leads: ClassVar[bool]
    follows: ClassVar[bool]
    closes: ClassVar[bool]

    @property
    def normed(self) -> bool: ...
    def chain(
        self,
        layers: Sequence[nn.Module],
        widths: Sequence[int],
        norm: Callable[[int], nn.Module],
        act: Make,
    ) -> nn.Module: ...
    def after_write(self, act: Make) -> nn.Module | None: ...
    def branch(self, core: nn.Module, norm: Make, act: Make) -> nn.Module: ...
    def post(self, norm: Make) -> nn.Module | None: ...
    def close(self, norm: Make, act: Make) -> nn.Module: ...


class Init(Protocol):
    """A class in `configs/init`; `zoo.init.Default` brings it along."""

    def apply(self, model: nn.Module, seed: int = 0) -> None:
        """Changes a fresh model in place."""


class OptimizerOptions(Protocol):
    """A class in `configs/optimizer`; `tasks.training.optim.Optimizer` brings it along."""

    def build(
        self,
        model: nn.Module,
        steps: int,
        batch_size: int | None = None,
        epoch: float = 1.0,
    ) -> dict[str, Any]:
        """The optimiser and its schedule, in Lightning's form."""


class Logger(Protocol):
    """A class in `configs/logger`; `tasks.training.loggers.NoLogger` brings it along."""

    def start(self, folder: Path, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        """Begins a run."""

    def row(self, row: Mapping[str, Any]) -> None:
        """Receives a row of the log."""

    def figure(self, name: str, path: Path, step: int) -> None:
        """Receives a figure that was drawn on the way."""

    def alert(self, title: str, text: str) -> None:
        """Receives what someone should look at while the run goes on."""

    def finish(self, result: Mapping[str, Any], figures: Mapping[str, Path]) -> None:
        """Ends the run with its result and its figures."""


class Diagnostics(Protocol):
    """A class in `configs/diagnostics`; `tasks.training.diagnostics.NoDiagnostics` brings it along.

    It is a callback of Lightning.
    """

    def begin(self, folder: RunFolder | None, logger: Any, every: int, figures: bool) -> None:
        """Begins a run."""

    def record(self) -> dict[str, Any]:
        """Returns what the result says of it."""
