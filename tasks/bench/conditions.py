"""The conditions of every measurement: one process on one thread of the CPU, in float32."""

from __future__ import annotations

import torch

from tasks.training.build import build_trainer_options
from tasks.training.process_memory import keep_freed_memory
from tasks.training.trainer import TrainerOptions
from zoo.config.config import Config
from zoo.errors import ConfigError


def one_process(config: Config) -> TrainerOptions:
    """Goes to one thread and returns the options of training.

    Errors:
        ConfigError: they ask for more than one process on the CPU, or for less than float32.
    """
    training = build_trainer_options(config)
    if training.processes > 1 or training.accelerator != "cpu":
        raise ConfigError(
            "bench measures one process on the CPU",
            "bench",
            "add trainer.accelerator=cpu trainer.devices=1",
        )
    if training.precision != "32-true" or training.accumulate > 1:
        fix = "leave trainer.precision and trainer.accumulate out"
        raise ConfigError("bench measures whole batches in float32", "bench", fix)
    keep_freed_memory()
    torch.set_num_threads(1)  # process time counts threads that only wait
    return training
