"""The engine of a cluster under Slurm: arrays of tasks that take jobs until their time nears."""

from __future__ import annotations

import importlib.util
import math
import re
import shutil
from dataclasses import replace
from typing import Annotated

from annotated_types import Ge, Gt, Le

from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines.array_task import ArrayTask, notice
from zoo.compare.execution.engines.mailbox_engine import MailboxEngine
from zoo.compare.execution.engines.slurm_queue import SlurmQueue
from zoo.errors import ConfigError

Minutes = Annotated[int, Ge(1), Le(525_600)]  # a year at most
Count = Annotated[int, Ge(1), Le(10_000)]
PROGRAMS = ("sbatch", "srun", "squeue", "scancel")
CLOCK = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)")
# a task that asked for no GPU uses none of its node, unless Slurm or the user name some
UNASKED = 'export CUDA_VISIBLE_DEVICES="${CUDA_VISIBLE_DEVICES-}"'


class SlurmEngine(MailboxEngine):
    """Tasks of Slurm on the nodes of a cluster, which see the folder of the comparison.

    Args:
        terms: of the comparison.
        time: of a task: minutes, or D-HH:MM:SS; a task takes no job that is longer than its rest.
        partition: of Slurm; None: its own default.
        account: that pays; None: the user's.
        qos: quality of service; None: Slurm's own default.
        constraint: features that nodes must have; None: none.
        gres: of a task, such as gpu:2, each of which has `per_gpu` workers; None: none.
        cpus: of a task without GPUs, each of which has a worker; or of one with GPUs in all.
        memory: of a task in GB; None: Slurm's own default.
        per_gpu: workers that share a GPU.
        nodes: machines of a task, which then does a run at a time, on `trainer.devices` of each.
        setup: lines of the shell before a task begins, such as `module load cuda`.

    Errors:
        ConfigError: Slurm or submitit is not installed, the number of workers is not given, or a
            task has fewer GPUs, or cores, than a run asks for, or an option would have no effect.
    """

    def __init__(
        self,
        terms: Terms,
        time: Minutes | str = 60,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        gres: str | None = None,
        cpus: Count = 1,
        memory: Annotated[float, Gt(0)] | None = None,
        per_gpu: Count = 1,
        nodes: Count = 1,
        setup: list[str] = [],  # noqa: B006 (never changed)
    ):
        if terms.workers is None:
            raise ConfigError("it is not said for how many jobs", "engine=slurm", "add workers=N")
        if importlib.util.find_spec("submitit") is None:
            fix = "pip install 'residual-zoo[slurm]'"
            raise ConfigError("submitit is not installed", "engine=slurm", fix)
        if missing := [program for program in PROGRAMS if not shutil.which(program)]:
            fix = "run this on a login node of the cluster, or choose another engine"
            raise ConfigError(f"Slurm's {missing[0]} is not installed", "engine=slurm", fix)
        gpus, minutes = gpus_of(gres), minutes_of(time)
        if per_gpu > 1:
            terms.refuse_sharing("engine.per_gpu")
        if per_gpu > 1 and not gpus:
            what, fix = "no GPU is asked for that workers could share", "add engine.gres=gpu:N"
            raise ConfigError(what, "engine.per_gpu=...", fix)
        if per_gpu > 1 and nodes > 1:
            what = "a run on several machines has their GPUs alone"
            raise ConfigError(what, "engine.per_gpu=...", "leave it out")
        if (gpus or cpus) < terms.devices:
            few = f"engine.gres={gres}" if gpus else f"engine.cpus={cpus}"
            fix = f"give engine.gres=gpu:{terms.devices}, or engine.cpus without GPUs"
            raise ConfigError(f"a run asks for {terms.devices} devices", few, fix)
        seats = gpus // terms.devices * per_gpu or cpus // terms.devices
        at_once = 1 if nodes > 1 else min(terms.workers, seats)
        parameters = {
            "time": minutes,
            "signal_delay_s": round(notice(minutes)),
            "partition": partition,
            "account": account,
            "qos": qos,
            "constraint": constraint,
            "gres": gres,
            "nodes": nodes,
            "cpus_per_task": cpus,
            "mem": memory and f"{math.ceil(1024 * memory)}M",
            "setup": [*([] if gpus else [UNASKED]), *setup] or None,
        }
        task = ArrayTask(replace(terms, workers=at_once), minutes, per_gpu)
        super().__init__(terms, SlurmQueue(parameters, task), at_once)


def minutes_of(time: int | str) -> int:
    """The minutes of a time as Slurm writes it, rounded up; ConfigError for another text.

    >>> minutes_of(90), minutes_of("01:30:00"), minutes_of("2-00:00:30")
    (90, 90, 2881)
    """
    if isinstance(time, int):
        return time
    if not (parts := CLOCK.fullmatch(time)):
        fix = "give minutes, or D-HH:MM:SS"
        raise ConfigError(f"time={time!r} is refused", "engine.time=...", fix)
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return max(1, 60 * (24 * days + hours) + minutes + math.ceil(seconds / 60))


def gpus_of(gres: str | None) -> int:
    """The number of GPUs that a request of resources names.

    >>> gpus_of("gpu"), gpus_of("gpu:2"), gpus_of("gpu:a100:4,shard:8"), gpus_of(None)
    (1, 2, 4, 0)
    """
    kinds = [kind.split(":") for kind in (gres or "").split(",")]
    found = [kind[-1] if kind[-1].isdigit() else 1 for kind in kinds if kind[0] == "gpu"]
    return sum(map(int, found))
