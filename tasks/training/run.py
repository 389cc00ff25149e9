"""A run from configuration to result: `fit`, its continuation and `test`."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from tasks.data.folders import folder_at
from tasks.recovery.loading import load_best, load_last
from tasks.recovery.tensor_files import copy_checkpoint, set_aside
from tasks.training.build import build_task, build_trainer_options, load_weights
from tasks.training.continued import refuse_changes, refuse_past, same_data, same_run
from tasks.training.contract import refuse_lacking_answers
from tasks.training.deterministic import deterministic
from tasks.training.evaluate import checked_finite, evaluate, metrics_at_best
from tasks.training.loggers import copy_of_ended
from tasks.training.module import Task
from tasks.training.precision import float32_products
from tasks.training.process import logged
from tasks.training.result import new_result
from tasks.training.summary import end_report, table
from tasks.training.train import train
from tasks.training.trainer import TrainerOptions
from tasks.training.uncaptured import refuse_options, refuse_task
from tasks.training.undivided import refuse_undivided
from zoo.config.config import CHANGEABLE, Config
from zoo.errors import ConfigError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.console import say
from zoo.system.launch import is_first
from zoo.system.meeting import meet
from zoo.system.one_writer import only_writer
from zoo.system.paths import expanded


def fit(config: Config) -> Report | None:
    """Trains from the start in a fresh folder.

    The same command again starts a run anew that was ended before its first checkpoint.
    """
    name = config.run["id"] or secrets.token_hex(4)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", str(name)):
        raise ConfigError(f"run.id={name!r} is refused", "run.id", "use letters, digits, . _ -")
    data_path = config.sections["data"].get("path")
    if data_path and folder_at(data_path).exists():  # for verbs that are called elsewhere
        config.sections["data"]["path"] = str(folder_at(data_path).resolve())
    path = config.run["dir"]
    begun = RunFolder(Path(expanded(path, f"run.dir={path}"))) if path else None
    if begun and is_first() and begun.is_at_start() and same_run(config, begun):
        return start_again(config, begun)
    config.run["id"] = str(name)
    kind = f"{config.choices['task']}-{config.choices['connection']}-{name}"
    folder = RunFolder.planned(kind, config.run["dir"]) if is_first() else None
    training, task = trainable(config)
    refuse_lacking_answers(config, task)
    task.batches_per_pass()  # options of batches that do not fit the data are refused by now
    if folder:
        folder.create()
    with only_writer(folder.path if folder else None):
        if folder:
            RunFolder.planned(kind, str(folder.path))  # another run may have had it meanwhile
            folder.write_config(config.plain(), config.overrides)
        return train(config, training, task, folder, None)


def resume(config: Config, where: str) -> Report | None:
    """Continues the run in a folder from its last good checkpoint, or from its start."""
    folder = RunFolder(Path(str(where)))
    refuse_changes(config, folder, CHANGEABLE)
    result = folder.result()
    done = result.get("status") == "done"
    if done and not config.words("trainer.max_"):
        copies = is_first() and config.words("logger")
        with only_writer(folder.path if copies else None), logged(None):
            return complete(config, result, folder)
    if folder.is_at_start():
        return start_again(config, folder)
    with only_writer(folder.path if is_first() else None):
        return go_on(config, folder, result, done)


def trainable(config: Config) -> tuple[TrainerOptions, Task]:
    """The options of training and the task; ConfigError where they do not go together."""
    training = build_trainer_options(config)
    config.factory("logger")()  # one whose package is not there is refused
    refuse_options(training)
    task = build_task(config)
    refuse_task(training, task)
    refuse_undivided(config, training, task)
    return training, task


def go_on(config: Config, folder: RunFolder, result: dict[str, Any], done: bool) -> Report | None:
    """Trains from the last good checkpoint in a folder."""
    checkpoint, path = load_last(folder.checkpoints)
    training, task = trainable(config)
    same_data(task, checkpoint, folder)
    refuse_past(training.limits(task), checkpoint["global_step"], folder)
    if done and training.steps(task) == checkpoint["global_step"]:
        return complete(config, result, folder)
    last = folder.checkpoints / "last.ckpt"
    config.overrides = folder.words_with(config.overrides)
    if is_first():
        folder.sweep()
        folder.create()
        if path != last:
            set_aside(last)
            copy_checkpoint(path, last)
        if done:  # no longer
            folder.write_result(result | {"status": "interrupted"})
        folder.forget_after(checkpoint["global_step"])
        folder.write_config(config.plain(), config.overrides)
    return train(config, training, task, folder if is_first() else None, last)


def start_again(config: Config, folder: RunFolder) -> Report | None:
    """Trains from the start in the folder of a run that has no checkpoint."""
    training, task = trainable(config)
    config.overrides = folder.words_with(config.overrides)
    first = folder if is_first() else None
    with only_writer(first.path if first else None):
        if first:
            if not first.is_at_start():  # another process had it meanwhile
                fix = "give the command again"
                raise ConfigError("the run has gone on", f"from={folder.path}", fix)
            say("there is no checkpoint yet, so the run starts again")
            first.sweep()
            first.create()
            first.forget_after(-1)
            first.write_config(config.plain(), config.overrides)
        return train(config, training, task, first, None)


def complete(config: Config, result: dict[str, Any], folder: RunFolder) -> Report | None:
    """The report of a run that has nothing left to do; None in all but its first process.

    A logger that the command names copies it all the same.
    """
    if not is_first():
        return None
    say("already complete")
    if config.words("logger"):
        with logged(folder):
            copy_of_ended(config, folder, result)
    return end_report(result, folder)


def test(config: Config, where: str) -> Report | None:
    """Evaluates the last and the best weights of a run again; nothing is written."""
    folder = RunFolder(Path(str(where)))
    allowed = ("data.path", "trainer.accelerator", "trainer.devices", "trainer.strategy", "logger")
    refuse_changes(config, folder, allowed)
    checkpoint, _ = load_last(folder.checkpoints)
    training = build_trainer_options(config)
    task = same_data(build_task(config), checkpoint, folder)
    best = load_best(folder.checkpoints, checkpoint)
    load_weights(task, checkpoint, folder)
    for line in [task.data.summary(), *task.data.notes] if is_first() else []:
        say(line)
    products = float32_products(training.matmul)
    meet()
    with logged(None), deterministic(training.deterministic), products:
        result = {**new_result(config, task), **folder.result()}
        result["steps"] = checkpoint["global_step"]
        result["best_step"] = best["step"]
        metrics = evaluate(task, training)
        better = {} if best["step"] == result["steps"] else best["weights"]
        best_metrics = metrics_at_best(task, training, metrics, better)
        with task.evaluating():
            result["metrics"] = metrics | checked_finite(task.final_metrics()) | best_metrics
    return Report(result, table(result, folder)) if is_first() else None
