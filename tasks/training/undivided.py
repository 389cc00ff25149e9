"""Runs whose model cannot be divided among devices are refused, before there is a folder."""

from __future__ import annotations

from typing import Any

from tasks.training.module import Task
from zoo.config.config import Config
from zoo.connection import Connection
from zoo.errors import ConfigError
from zoo.stack import Stack


def refuse(what: str, where: str, *fixes: str) -> None:
    """ConfigError: with this trainer.strategy=fsdp is not possible."""
    fix = "give " + ", or ".join([*fixes, "trainer.strategy=ddp"])
    raise ConfigError(f"{what}, so trainer.strategy=fsdp cannot be used", where, fix)


def refuse_undivided(config: Config, training: Any, task: Task) -> None:
    """ConfigError where a run has what does not go with trainer.strategy=fsdp."""
    if training.strategy != "fsdp":
        return
    if training.precision == "16-mixed":
        what = "each process would have a scale of fp16 of its own"
        refuse(what, "trainer.precision=16-mixed", "trainer.precision=bf16-mixed")
    if training.compile:
        what = "compiled code cannot wait for weights of other processes"
        refuse(what, "trainer.compile", "trainer.compile=false")
    if config.choices["diagnostics"] != "none":
        what = "a look on the way needs whole weights and gradients"
        refuse(what, "diagnostics", "diagnostics=none and call diagnose from=FOLDER afterwards")
    modules = list(task.model.modules())
    if any(isinstance(module, Connection) and module.inverts for module in modules):
        refuse("a rule that is undone in the backward pass reads whole weights", "connection")
    if not any(isinstance(module, Stack) for module in modules):
        refuse("the model has no stack, whose branches are divided", "model")
