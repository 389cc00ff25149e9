"""How many processes a run has, one for each device, and how they find each other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from annotated_types import Ge

from zoo.config.config import Config
from zoo.errors import ConfigError
from zoo.system.launch import launch

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments import ClusterEnvironment

Devices = Annotated[int, Ge(1)] | Literal["auto"]


def devices_here(asked: Devices, accelerator: str) -> int:
    """The devices of a run on this machine: what started its processes says how many, if not it.

    Args:
        asked: by the configuration; `auto` is every GPU, or one process on the CPU.
        accelerator: `cpu` or `gpu`.

    Errors:
        ConfigError: there are fewer.
    """
    gpus = torch.cuda.device_count()
    available, kind = (gpus, "GPUs") if accelerator == "gpu" else (os.cpu_count() or 1, "CPU cores")
    everything = max(1, gpus) if accelerator == "gpu" else 1
    here = launch()
    count = here.each if here.by else everything if asked == "auto" else asked
    if count > available:
        fix = f"give at most {available}" if available else "give trainer.accelerator=cpu"
        if here.by == "srun" and available:
            fix = f"give srun --gpus-per-node={count}, so that each process sees all of its machine"
        where = here.by or "trainer.devices"
        raise ConfigError(f"{count} devices are asked for and {available} {kind} found", where, fix)
    return count


def refuse_other_number(config: Config) -> None:
    """ConfigError where the command line asks for other devices than there are processes."""
    here = launch()
    for word in config.words("trainer.devices=") if here.by else ():
        if word.partition("=")[2] not in ("auto", str(here.each)):
            what = f"{here.by} has started {here.each} processes on each machine"
            raise ConfigError(what, word, "leave it out: there is a device for each process")


def in_words(processes: int, nodes: int, accelerator: str, asked: Devices) -> str:
    """The devices of a run, and who has said how many.

    Args:
        processes: all of them.
        nodes: machines.
        accelerator: `cpu` or `gpu`.
        asked: by the configuration.
    """
    by = launch().by or ("trainer.devices=auto" if asked == "auto" else "")
    machines = f" on {nodes} machines" if nodes > 1 else ""
    return f"{processes} {accelerator}{machines}" + (f" ({by})" if by else "")


def environment() -> ClusterEnvironment:
    """Lightning's view of who starts the processes of a run; it would guess otherwise."""
    from lightning_fabric.plugins.environments import (
        LightningEnvironment,
        SLURMEnvironment,
        TorchElasticEnvironment,
    )

    by = launch().by
    if by == "srun":
        return SLURMEnvironment(auto_requeue=False)
    return TorchElasticEnvironment() if by == "torchrun" else LightningEnvironment()
