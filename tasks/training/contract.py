"""Checks that classes of other packages have what a run needs; the first lack is one line."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tasks.data.splits import PARTS
from tasks.training import protocols
from tasks.training.lacking import lacking
from tasks.training.module import Task
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
    "diagnostics": protocols.Diagnostics,
}  # kinds that a run chooses beside task, data and model


def required(function: Any) -> list[str]:
    """The arguments that a function cannot be called without."""
    parameters = inspect.signature(function).parameters.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in several]


def refuse(kind: str, config: Config, cls: type, lack: str) -> None:
    """ConfigError for a class that lacks something; nothing happens where `lack` is empty."""
    if lack:
        where = f"{kind}={config.choices[kind]}"
        what = f"{cls.__module__}.{cls.__qualname__} lacks {lack}"
        raise ConfigError(what, where, f"give it that, or choose another {kind}")


def refuse_lacking_rest(config: Config) -> None:
    """ConfigError for a choice beside task, data and model that lacks a member of its kind."""
    for kind, protocol in BESIDE.items():
        if kind in config.choices:
            cls: Any = registry.resolve(kind, config.choices[kind])
            refuse(kind, config, cls, ", ".join(lacking(cls, protocol)))


def refuse_lacking_task(config: Config) -> None:
    """ConfigError for a task that lacks a method or says too little of itself."""
    cls: Any = registry.resolve("task", config.choices["task"])
    lacks = lacking(cls, protocols.TaskClass)
    if not issubclass(cls, Task):
        refuse("task", config, cls, ", ".join(lacks))
    if cls.data_type is object or not isinstance(cls.data_type, type):
        lacks.append("data_type")
    for name in ("example_model_args", "verbs"):
        if not isinstance(getattr(cls, name), Mapping):
            lacks.append(f"{name}, a mapping")
    primary = cls.primary
    if not isinstance(primary, tuple) or [*map(type, primary)] != [str, bool]:
        lacks.append("primary = (METRIC, HIGHER_IS_BETTER)")
    refuse("task", config, cls, ", ".join(lacks))


def refuse_lacking_source(config: Config) -> None:
    """ConfigError for a data set without a `load`, or for one that another task takes."""
    task = config.choices["task"]
    cls: Any = registry.resolve("data", config.choices["data"])
    refuse("data", config, cls, ", ".join(f"a default of {name}" for name in required(cls)))
    refuse("data", config, cls, ", ".join(lacking(cls, protocols.DataSource)))
    if required(cls.load)[1:]:  # the first one is self
        refuse("data", config, cls, "a load that takes nothing")
    if loaded_type(cls) is None:
        refuse("data", config, cls, "the class that load returns, as in def load(self) -> Graph")
    if loaded_type(cls) is not data_type(task):
        data = f"data={config.choices['data']}"
        what = f"task={task} cannot use {data}"
        raise ConfigError(what, data, f"choose from {', '.join(usable(task))}")


def refuse_lacking_model(config: Config, model: Any) -> None:
    """ConfigError for a model without something that the task asks for."""
    if "depth" not in config.sections["model"]:
        refuse("model", config, type(model), "the option depth")
    lacks = lacking(type(model), protocols.ModelClass)
    if not isinstance(model, nn.Module):
        refuse("model", config, type(model), ", ".join(lacks))
    asks = registry.resolve("task", config.choices["task"]).asks  # type: ignore[attr-defined]
    lacks = [*(name for name in asks if not hasattr(model, name)), *lacks]
    if lacks:
        what = f"task={config.choices['task']} asks a model for {', '.join(lacks)}"
        where = f"model={config.choices['model']} ({type(model).__name__})"
        raise ConfigError(what, where, "give it that, or leave model out")


def checked_data(config: Config, data: Any) -> Any:
    """Returns what a source has loaded; ConfigError where it lacks something."""
    task: Any = registry.resolve("task", config.choices["task"])
    if not isinstance(data, task.data_type):
        source: Any = registry.resolve("data", config.choices["data"])
        lack = f"what its load promises: it gives {type(data).__name__}"
        refuse("data", config, source, f"{lack}, not {task.data_type.__name__}")
    protocol = protocols.OutlinedData if task.verbs else protocols.Data
    refuse("data", config, type(data), ", ".join(lacking(data, protocol)))
    splits = data.parts if isinstance(data.parts, Mapping) else {}
    lack = ", ".join(split for split in PARTS if split not in splits)
    refuse("data", config, type(data), lack and f"{lack} in parts, a mapping of examples")
    return data


@contextlib.contextmanager
def refusing_lacking_members(config: Config, data: Any) -> Iterator[None]:
    """Within, while a task is made of the data, a member that the data lacks is a ConfigError."""
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
    kinds = ("task", "model", "data")
    paths = [registry.class_path(kind, config.choices[kind]) for kind in kinds]
    if all(path.partition(".")[0] in ("zoo", "tasks") for path in paths):
        return
    if not hasattr(task, "model"):
        refuse("task", config, type(task), "the call super().__init__(make_model, data, ...)")
    states = {name: each.get_state() for name, each in task.generators.items()}
    with torch.random.fork_rng(devices=[]), task.evaluating():
        refuse("task", config, type(task), missing_answer(task))
    for name, state in states.items():
        task.generators[name].set_state(state)


def missing_answer(task: Task) -> str:
    """What the first wrong method of a task fails to give when it is called; empty if none does."""
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
    missing = {"loss", task.primary[0]} - task.metrics_from_sums(totals).keys()
    return f"{', '.join(sorted(missing))} in metrics_from_sums" if missing else ""


def first(batches: Any) -> Any:
    """The first batch; None where there is none, or where these are no batches."""
    return next(iter(batches), None) if isinstance(batches, Iterable) else None
