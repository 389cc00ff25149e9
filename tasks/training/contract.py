"""What a run asks of classes from other packages: the first lack is told in one line."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tasks.training import protocols
from tasks.training.lacking import lacking
from tasks.training.module import Task
from tasks.training.result import PARTS
from zoo.config import registry
from zoo.config.config import Config
from zoo.config.usable_data import data_type, loaded_type, usable
from zoo.errors import ConfigError
from zoo.shard import WHOLE

BESIDE: dict[str, type] = {
    "connection": protocols.Rule,
    "long": protocols.Rule,
    "norm": protocols.NormPlacement,
    "init": protocols.Init,
    "optimizer": protocols.OptimizerOptions,
    "logger": protocols.Logger,
}  # kinds that a run chooses beside task, data and model


def required(function: Any) -> list[str]:
    """The arguments that a function cannot be called without."""
    parameters = inspect.signature(function).parameters.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in several]


def refuse(kind: str, config: Config, cls: type, lost: str) -> None:
    """ConfigError for a class that lacks something, if it does."""
    if lost:
        where = f"{kind}={config.choices[kind]}"
        what = f"{cls.__module__}.{cls.__qualname__} lacks {lost}"
        raise ConfigError(what, where, f"give it that, or choose another {kind}")


def refuse_lacking_rest(config: Config) -> None:
    """ConfigError for a choice beside task, data and model that lacks a member of its kind."""
    for kind, protocol in BESIDE.items():
        if kind in config.choices:
            found: Any = registry.resolve(kind, config.choices[kind])
            refuse(kind, config, found, ", ".join(lacking(found, protocol)))


def refuse_lacking_task(config: Config) -> None:
    """ConfigError for a task that lacks a method or says too little of itself."""
    found: Any = registry.resolve("task", config.choices["task"])
    lost = lacking(found, protocols.TaskClass)
    if not issubclass(found, Task):
        refuse("task", config, found, ", ".join(lost))
    lost += (
        ["data_type"] if found.data_type is object or not isinstance(found.data_type, type) else []
    )
    lost += [
        f"{n}, a mapping"
        for n in ("example_model_args", "verbs")
        if not isinstance(getattr(found, n), Mapping)
    ]
    primary = found.primary
    pair = isinstance(primary, tuple) and [*map(type, primary)] == [str, bool]
    lost += [] if pair else ["primary = (METRIC, HIGHER_IS_BETTER)"]
    refuse("task", config, found, ", ".join(lost))


def refuse_lacking_source(config: Config) -> None:
    """ConfigError for a data set without a `load`, or for one that another task takes."""
    task = config.choices["task"]
    found: Any = registry.resolve("data", config.choices["data"])
    refuse("data", config, found, ", ".join(f"a default of {n}" for n in required(found)))
    refuse("data", config, found, ", ".join(lacking(found, protocols.DataSource)))
    if required(found.load)[1:]:  # the first one is self
        refuse("data", config, found, "a load that takes nothing")
    if loaded_type(found) is None:
        refuse("data", config, found, "the class that load returns, as in def load(self) -> Graph")
    if loaded_type(found) is not data_type(task):
        what = f"task={task} cannot use data={config.choices['data']}"
        raise ConfigError(what, "data", f"choose from {', '.join(usable(task))}")


def refuse_lacking_model(config: Config, model: Any) -> None:
    """ConfigError for a model without something that the task asks for."""
    if "depth" not in config.sections["model"]:
        refuse("model", config, type(model), "the option depth")
    lost = lacking(type(model), protocols.ModelClass)
    if not isinstance(model, nn.Module):
        refuse("model", config, type(model), ", ".join(lost))
    asks = registry.resolve("task", config.choices["task"]).asks  # type: ignore[attr-defined]
    lost = [*(name for name in asks if not hasattr(model, name)), *lost]
    if lost:
        what = f"task={config.choices['task']} asks a model for {', '.join(lost)}"
        where = f"model={config.choices['model']} ({type(model).__name__})"
        raise ConfigError(what, where, "give it that, or leave model out")


def whole(config: Config, data: Any) -> Any:
    """What a source has loaded; ConfigError where it lacks something."""
    task: Any = registry.resolve("task", config.choices["task"])
    if not isinstance(data, task.data_type):
        found: Any = registry.resolve("data", config.choices["data"])
        lost = f"what its load promises: it gives {type(data).__name__}"
        refuse("data", config, found, f"{lost}, not {task.data_type.__name__}")
    asked = protocols.OutlinedData if task.verbs else protocols.Data
    refuse("data", config, type(data), ", ".join(lacking(data, asked)))
    parts = data.parts if isinstance(data.parts, Mapping) else {}
    lost = ", ".join(part for part in PARTS if part not in parts)
    refuse("data", config, type(data), lost and f"{lost} in parts, a mapping of examples")
    return data


@contextlib.contextmanager
def owning(config: Config, data: Any) -> Iterator[None]:
    """Turns the lack of a member of the data, while a task is made of it, into one line."""
    try:
        yield
    except AttributeError as error:
        if error.obj is data:
            refuse("data", config, type(data), str(error.name))
        raise


def refuse_lacking_answers(config: Config, task: Task) -> None:
    """ConfigError where a class of another package gives no batch, no loss or no metrics.

    Each is asked once, in evaluation and without a trace in the random states.
    """
    groups = ("task", "model", "data")
    homes = [registry.class_path(group, config.choices[group]) for group in groups]
    if all(home.partition(".")[0] in ("zoo", "tasks") for home in homes):
        return
    if not hasattr(task, "model"):
        refuse("task", config, type(task), "the call super().__init__(make_model, data, ...)")
    draws = {name: each.get_state() for name, each in task.generators.items()}
    with torch.random.fork_rng(devices=[]), task.evaluating():
        refuse("task", config, type(task), lack_of_answers(task))
    for name, state in draws.items():
        task.generators[name].set_state(state)


def lack_of_answers(task: Task) -> str:
    """What a task that can be called does not give; empty where all is there."""
    passes = task.batches_per_pass()
    if not isinstance(passes, int) or passes < 1:
        return "a number of at least 1 from batches_per_pass"
    batch = first(task.train_loader())
    if batch is None:
        return "a batch from train_loader"
    loss = task.loss(batch, WHOLE)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        return "one number, in a tensor, from loss"
    batch = first(task.loader("val"))
    if batch is None:
        return "a batch from loader"
    totals = task.eval_sums(batch)
    if not isinstance(totals, dict) or not {"loss", "count"} <= totals.keys():
        return "loss and count in eval_sums"
    lost = {"loss", task.primary[0]} - task.metrics_from_sums(totals).keys()
    return f"{', '.join(sorted(lost))} in metrics_from_sums" if lost else ""


def first(batches: Any) -> Any:
    """The first of some batches; None where they are none."""
    return next(iter(batches), None) if isinstance(batches, Iterable) else None
