"""Trained tasks, built from their run folders."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Literal

from tasks.inference.hub import built_of, hub_checkpoint
from tasks.recovery.loading import load_best, load_last
from tasks.training.build import build_task, load_weights
from tasks.training.module import Task
from zoo.config import registry
from zoo.config.compose import from_file
from zoo.config.config import Config
from zoo.errors import CheckpointError, ConfigError
from zoo.hub_folder import config_file, is_hub_folder
from zoo.run_folder import RunFolder, runs_in

Weights = Literal["last", "best"]


def restored_task(
    config: Config, folder: RunFolder, weights: Weights | None = None
) -> tuple[Task, Weights]:
    """Returns the task of a run with some of its weights, and which; its data need not be there.

    It is for any machine, whatever the run was trained on. Only runs of before, and data of other
    packages without `metadata`, are loaded.

    Args:
        config: of the run.
        folder: of the run.
        weights: of the last step, or of the one with the lowest validation loss; None: the last,
            or those that a folder for the Hub holds.

    Errors:
        CheckpointError: the run has no such weights.
    """
    hub = is_hub_folder(folder.path)
    checkpoint = hub_checkpoint(folder.path) if hub else load_last(folder.checkpoints)[0]
    held = checkpoint["weights"] if hub else weights or "last"
    if weights not in (None, held):
        raise CheckpointError(f"it holds the {held} weights", str(folder.path), f"take {held}")
    task_class: Any = registry.resolve("task", config.choices["task"])

    def data(source: Any) -> Any:
        if "outline" in checkpoint:
            return task_class.data_type.from_metadata(checkpoint["outline"])
        return source.load()  # a run of before, or data of another package

    with built_of(checkpoint["state_dict"], folder.path) if hub else nullcontext():
        task = build_task(config, data)
    task.trained_on = checkpoint["data_digest"]
    load_weights(task, checkpoint, folder)
    if held == "best" and not hub:
        best = load_best(folder.checkpoints, checkpoint)
        if not best["weights"]:
            raise CheckpointError("nothing was validated", str(folder.path), "take the last ones")
        load_weights(task.model, {"state_dict": best["weights"]}, folder)
    return task, held


def training_data(task: Task, folder: RunFolder) -> Any:
    """Loads the data that a run was trained on.

    Errors:
        ConfigError: it is no longer the same.
    """
    data = config_of(folder).factory("data")().load()
    if data.digest() != task.trained_on:
        raise ConfigError("the data has changed since", str(folder.path), "name data by path=")
    return data


def config_of(folder: RunFolder) -> Config:
    """The configuration of a run; CheckpointError where there is none."""
    path = config_file(folder.path)
    if not path.is_file():
        home = folder.path if folder.path.is_dir() else folder.path.parent
        raise CheckpointError("there is no run", str(folder.path), runs_in(str(home)))
    return from_file(str(path), {}).check()
