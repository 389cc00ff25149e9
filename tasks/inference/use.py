"""What a trained run is used for: verbs that a task knows, such as `sample`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from tasks.recovery.tensor_files import load_best, load_last
from tasks.training.module import Task
from tasks.training.process import logged
from tasks.training.run import load_weights, prepare
from zoo.config import registry
from zoo.config.compose import from_file
from zoo.config.config import Config
from zoo.config.options import checked, fields
from zoo.config.overrides import parse
from zoo.errors import CheckpointError, ConfigError
from zoo.run_folder import RunFolder, runs_in

Weights = Literal["last", "best"]


@dataclass
class Report:
    """What a verb did.

    Args:
        record: for machines.
        text: for people.
    """

    record: dict[str, Any]
    text: str


def use(verb: str, config: Config, where: str, words: Sequence[str]) -> Report:
    """Does a verb with the last weights of the run in a folder, without the run's data.

    Errors:
        ConfigError: the task does not know the verb, or an option is wrong.
        CheckpointError: the run has no usable weights.
    """
    name = config.choices["task"]
    verbs: dict[str, str] = registry.resolve("task", name).verbs  # type: ignore[attr-defined]
    if verb not in verbs:
        knowing = [
            task
            for task in registry.names("task")
            if verb in registry.resolve("task", task).verbs  # type: ignore[attr-defined]
        ]
        fix = f"{verb} is for runs of task={', '.join(knowing)}"
        raise ConfigError(f"task={name} knows no {verb}", f"from={where}", fix)
    module, _, attribute = verbs[verb].rpartition(".")
    target = getattr(import_module(module), attribute)
    options = checked(target, spoken(target, words), verb)
    try:
        act = target(**options)
    except ValueError as error:
        raise ConfigError(str(error), verb, "give another value") from None
    folder = RunFolder(Path(where))
    task = restored(config, folder)
    with logged(None), task.evaluating():
        report: Report = act(task, folder)
    return report


def restored(config: Config, folder: RunFolder, weights: Weights = "last") -> Task:
    """The task of a run with its weights, on whatever this machine has, mostly without its data.

    Args:
        config: of the run.
        folder: of the run.
        weights: of the last step, or of the one with the lowest validation loss.

    Errors:
        CheckpointError: the run has no such weights.
    """
    checkpoint, _ = load_last(folder.checkpoints)
    task_class: Any = registry.resolve("task", config.choices["task"])

    def data(source: Any) -> Any:
        if "outline" in checkpoint:
            return task_class.data_type.of_outline(checkpoint["outline"])
        return source.load()  # a run of before, or data of another package

    config.sections["trainer"] = registry.options("trainer", "default") | {"max_steps": 1}
    task = prepare(config, data)[1]()
    task.trained_on = checkpoint["data_digest"]
    load_weights(task, checkpoint, folder)
    if weights == "best":
        best = load_best(folder.checkpoints, checkpoint)
        if not best["weights"]:
            raise CheckpointError("nothing was validated", str(folder.path), "take the last ones")
        load_weights(task.model, {"state_dict": best["weights"]}, folder)
    return task


def own_data(task: Task, folder: RunFolder) -> Any:
    """The data that a run was trained on.

    Errors:
        ConfigError: it is no longer the same.
    """
    data = config_of(folder).maker("data")().load()
    if data.digest() != task.trained_on:
        raise ConfigError("the data has changed since", str(folder.path), "name data by path=")
    return data


def config_of(folder: RunFolder) -> Config:
    """The configuration of a run; CheckpointError where there is none."""
    path = folder.path / "config.yaml"
    if not path.is_file():
        raise CheckpointError("there is no run", str(folder.path), runs_in(str(folder.path)))
    return from_file(str(path), {}).check()


def spoken(target: type, words: Sequence[str]) -> dict[str, Any]:
    """The options `key=value` of a verb; one that takes text has it as it is, commas and all."""
    given: dict[str, Any] = {}
    known = fields(target)
    for word in words:
        key, equals, value = word.partition("=")
        annotation = known.get(key, (None,))[0]
        if equals and annotation in (str, str | None):
            given[key] = None if value == "null" and annotation is not str else value
        else:
            given |= parse([word])
    return given
