"""What a configuration stands for: model, task with its data, weights, options of training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tasks.training.contract import (
    checked_data,
    refuse_lacking_model,
    refuse_lacking_rest,
    refuse_lacking_source,
    refuse_lacking_task,
    refusing_lacking_members,
)
from tasks.training.devices import refuse_other_number
from tasks.training.module import Task
from tasks.training.trainer import TrainerOptions
from zoo.config import registry
from zoo.config.config import Config
from zoo.errors import CheckpointError, ConfigError
from zoo.run_folder import RunFolder
from zoo.system.machine_memory import refuse_beyond_memory

RULES = {"connect": "connection", "long": "long"}  # the model's arguments that are classes


def build_model(config: Config, **model_args: Any) -> nn.Module:
    """The model of a configuration.

    Args:
        config: the configuration.
        model_args: of the data, as the task gives them.
    """
    rules = {arg: config.factory(group) for arg, group in RULES.items() if group in config.choices}
    model: nn.Module = config.factory("model")(
        norm_placement=config.factory("norm")(), **rules, **model_args
    )
    return model


def build_task(config: Config, load: Callable[[Any], Any] = lambda source: source.load()) -> Task:
    """The task of a configuration with its model and its data.

    What can be refused without data is refused before any is loaded.

    Args:
        config: the configuration.
        load: gives the data of a source; another one can remember it.
    """
    optimizer = config.factory("optimizer")()
    refuse_lacking_rest(config)
    refuse_lacking_task(config)
    refuse_lacking_source(config)
    make_task, source = config.factory("task"), config.factory("data")()
    refuse_unfit_model(config)
    data = checked_data(config, load(source))
    with refusing_lacking_members(config, data):
        task: Task = make_task(
            functools.partial(build_model, config), data, optimizer, seed=config.seed
        )
    return task


def build_trainer_options(config: Config) -> TrainerOptions:
    """The options of training of a configuration; ConfigError where this machine lacks devices."""
    refuse_other_number(config)
    options: TrainerOptions = config.factory("trainer")()
    return options


def build_optimizer(
    task: Task, training: TrainerOptions, checkpoint: dict[str, Any] | None = None
) -> torch.optim.Optimizer:
    """The optimiser of a task before the first step, or before the one that follows a checkpoint.

    Args:
        task: that is trained.
        training: options of the training.
        checkpoint: with the state of the optimiser.
    """
    trainer = task.trainer = training.trainer(task, [])
    trainer.strategy.connect(task)
    trainer.strategy.setup_optimizers(trainer)
    optimizer: torch.optim.Optimizer = trainer.optimizers[0]
    if checkpoint:
        optimizer.load_state_dict(checkpoint["optimizer_states"][0])
    return optimizer


def load_weights(module: nn.Module, checkpoint: dict[str, Any], folder: RunFolder) -> None:
    """Gives a task or model the weights of a checkpoint; CheckpointError where they do not fit."""
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights do not fit ({str(error)[:120]})", str(folder.path), "name another run"
        ) from None


def refuse_unfit_model(config: Config) -> None:
    """ConfigError for a model that cannot be built, that its task cannot use, or that is too large.

    It is built without memory, for data as the task's `example_model_args` describe it.
    """
    task: Any = registry.resolve("task", config.choices["task"])
    try:
        with torch.device("meta"):
            model = build_model(config, **task.example_model_args)
    except TypeError as error:
        what = f"task={config.choices['task']} cannot use model={config.choices['model']}"
        dotted = registry.class_path("model", config.choices["model"])
        where = f"{dotted} ({' '.join(str(error).split())[:120]})"
        raise ConfigError(what, where, "leave model out, or mend that class") from None
    except (RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(
            f"the model cannot be built ({reason})", "model", "choose a smaller one"
        ) from None
    refuse_lacking_model(config, model)
    count = sum(parameter.numel() for parameter in model.parameters())
    refuse_beyond_memory(16 * count, f"a model of {count:,} parameters", "model")
