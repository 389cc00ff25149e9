"""Verbs that a trained run knows by its task, such as `sample`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tasks.inference.hub import as_described
from tasks.inference.restored import restored_task
from tasks.training.process import logged
from zoo.config import registry
from zoo.config.config import Config
from zoo.config.options import checked, fields
from zoo.config.overrides import parse
from zoo.errors import ConfigError
from zoo.report import Report
from zoo.run_folder import RunFolder


def use(verb: str, config: Config, where: str, words: Sequence[str]) -> Report:
    """Runs a verb with the last weights of the run in a folder; the run's data need not be there.

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
    act = made(target, parse_options(target, words), verb)
    folder = RunFolder(Path(where))
    with as_described(folder.path):
        task, _ = restored_task(config, folder)
    with logged(None), task.evaluating():
        report: Report = act(task, folder)
    return report


def made(target: type, options: dict[str, Any], verb: str) -> Any:
    """The class that does a verb with its options; ConfigError where one is wrong."""
    try:
        return target(**checked(target, options, verb))
    except ValueError as error:
        raise ConfigError(str(error), verb, "give another value") from None


def parse_options(target: type, words: Sequence[str]) -> dict[str, Any]:
    """The options `key=value` of a verb; the value of one that takes text is left as it is."""
    options: dict[str, Any] = {}
    known = fields(target)
    for word in words:
        key, equals, value = word.partition("=")
        annotation = known.get(key, (None,))[0]
        if equals and annotation in (str, str | None):
            options[key] = None if value == "null" and annotation is not str else value
        else:
            options |= parse([word])
    return options
