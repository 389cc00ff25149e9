"""What a run asks of classes from other packages: the first lack is told in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, get_type_hints

from torch import nn

from tasks.base import Task
from tasks.result import PARTS
from zoo import registry
from zoo.config import Config
from zoo.errors import ConfigError

DATA = ("parts", "notes", "summary", "digest")  # members of what a source loads
USED = ("outline",)  # and of that of a task with verbs


def loads(source: Any) -> Any:
    """The class that a source's `load` is annotated with; None without one."""
    with contextlib.suppress(AttributeError, NameError, TypeError):
        return get_type_hints(source.load).get("return")
    return None


def refuse(kind: str, config: Config, cls: type, lost: str) -> None:
    """ConfigError for a class that lacks something, if it does."""
    if lost:
        where = f"{kind}={config.choices[kind]}"
        what = f"{cls.__module__}.{cls.__qualname__} lacks {lost}"
        raise ConfigError(what, where, f"give it that, or choose another {kind}")


def refuse_lacking_task(config: Config) -> None:
    """ConfigError for a task that lacks a method or says too little of itself."""
    found: Any = registry.resolve("task", config.choices["task"])
    if not issubclass(found, Task):
        refuse("task", config, found, "the base class tasks.base.Task")
    lost = [n for n in dir(found) if getattr(getattr(found, n), "__isabstractmethod__", False)]
    lost += ["takes"] if found.takes is object else []
    primary = found.primary
    pair = isinstance(primary, tuple) and [*map(type, primary)] == [str, bool]
    refuse("task", config, found, ", ".join(lost))
    refuse("task", config, found, "" if pair else "primary = (METRIC, HIGHER_IS_BETTER)")


def refuse_lacking_source(config: Config) -> None:
    """ConfigError for a data set without a `load`, or for one that another task takes."""
    task, found = config.choices["task"], registry.resolve("data", config.choices["data"])
    assert isinstance(found, type)
    if not callable(getattr(found, "load", None)):
        refuse("data", config, found, "load")
    if loads(found) is None:
        refuse("data", config, found, "the class that load returns, as in def load(self) -> Graph")
    if loads(found) is not takes(task):
        what = f"task={task} cannot use data={config.choices['data']}"
        raise ConfigError(what, "data", f"choose from {', '.join(usable(task))}")


def refuse_lacking_model(config: Config, model: Any) -> None:
    """ConfigError for a model without something that the task asks for."""
    if "depth" not in config.sections["model"]:
        refuse("model", config, type(model), "the option depth")
    if not isinstance(model, nn.Module):
        refuse("model", config, type(model), "the base class torch.nn.Module")
    asks = registry.resolve("task", config.choices["task"]).asks  # type: ignore[attr-defined]
    lost = [name for name in asks if not hasattr(model, name)]
    if lost:
        what = f"task={config.choices['task']} asks a model for {', '.join(lost)}"
        where = f"model={config.choices['model']} ({type(model).__name__})"
        raise ConfigError(what, where, "give it that, or leave model out")


def whole(config: Config, data: Any) -> Any:
    """What a source has loaded; ConfigError where it lacks something."""
    task: Any = registry.resolve("task", config.choices["task"])
    if not isinstance(data, task.takes):
        found: Any = registry.resolve("data", config.choices["data"])
        lost = f"what its load promises: it gives {type(data).__name__}"
        refuse("data", config, found, f"{lost}, not {task.takes.__name__}")
    asked = DATA + (USED if task.verbs else ())
    refuse("data", config, type(data), ", ".join(n for n in asked if not hasattr(data, n)))
    parts = data.parts if isinstance(data.parts, Mapping) else {}
    lost = ", ".join(part for part in PARTS if part not in parts)
    refuse("data", config, type(data), lost and f"{lost} in parts, a mapping of examples")
    return data


def takes(task: str) -> Any:
    """The class of data that a task takes."""
    return registry.resolve("task", task).takes  # type: ignore[attr-defined]


def usable(task: str) -> list[str]:
    """The data sets that a task can use."""
    return [n for n in registry.names("data") if loads(registry.resolve("data", n)) is takes(task)]


def taking(task: str, option: str) -> list[str]:
    """Those of them that have an option; first those that refuse to be without, for any data."""
    found = [name for name in usable(task) if option in registry.options("data", name)]

    def rank(name: str) -> tuple[bool, int, str]:
        complete = True
        try:
            registry.build("data", name)
        except ConfigError:
            complete = False
        return complete, len(registry.resolve("data", name).__mro__), name  # type: ignore[attr-defined]

    return sorted(found, key=rank)
