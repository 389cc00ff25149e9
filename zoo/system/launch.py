"""The processes of a run: which one this is, and who has started how many of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from zoo.errors import ConfigError

EVEN = re.compile(r"(\d+)(\(x\d+\))?")  # Slurm's tasks a node, where all nodes have the same


@dataclass(frozen=True)
class Launch:
    """Where this process stands among those of its run.

    Attributes:
        by: the program that started them, `torchrun` or `srun`; empty where a run starts its own,
            of which `world`, `each` and `nodes` are not known here.
        rank: of this process; the first one, 0, alone writes and speaks.
        world: the number of processes.
        each: of them on every machine.
        nodes: machines.
    """

    by: str = ""
    rank: int = 0
    world: int = 1
    each: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.each * self.nodes != self.world:
            what = f"{self.world} processes on {self.nodes} machines are not {self.each} on each"
            raise ConfigError(what, self.by, "start the same number on every machine")


def launch() -> Launch:
    """The place of this process, by what its environment says.

    Errors:
        ConfigError: machines have different numbers of processes.
    """
    given = os.environ
    if "LOCAL_WORLD_SIZE" in given and "RANK" in given:
        world, each = int(given["WORLD_SIZE"]), int(given["LOCAL_WORLD_SIZE"])
        nodes = int(given.get("GROUP_WORLD_SIZE", world // each))
        return Launch("torchrun", int(given["RANK"]), world, each, nodes)
    if "LOCAL_RANK" in given:  # the first process of a run has started this one
        return Launch(rank=int(given["LOCAL_RANK"]))
    world = int(given.get("SLURM_STEP_NUM_TASKS", 1))
    if world == 1:
        return Launch()
    even = EVEN.fullmatch(given["SLURM_STEP_TASKS_PER_NODE"])
    nodes = int(given["SLURM_STEP_NUM_NODES"])
    return Launch("srun", int(given["SLURM_PROCID"]), world, int(even[1]) if even else 0, nodes)


def is_first() -> bool:
    """Whether this is the first process of a run: it alone writes and speaks."""
    return launch().rank == 0
