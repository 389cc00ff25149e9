"""Slurm's variables, which say where in a job a process is."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

from zoo.compare.execution.engine import ALLOCATION

JOB, PREFIX = "SLURM_JOB_ID", "SLURM_"  # of variables that say where in a job a process is
SETTINGS = "SLURM_CONF"  # of the cluster, and of no job


@contextlib.contextmanager
def outside_slurm() -> Iterator[str]:
    """A context in which nothing shows that this is a job of Slurm; gives the name of the task.

    Libraries take such variables for those of a run over several processes, and a job that is
    submitted takes them for its own. For tasks on several machines they are kept where a worker
    finds them.
    """
    names = [key for key in os.environ if key.startswith(PREFIX) and key != SETTINGS]
    hidden = {key: os.environ.pop(key) for key in names if JOB in names}
    if int(hidden.get("SLURM_NNODES", 1)) > 1:
        os.environ[ALLOCATION] = json.dumps(hidden)
    try:
        array, number = hidden.get("SLURM_ARRAY_JOB_ID"), hidden.get("SLURM_ARRAY_TASK_ID")
        yield f"{array}_{number}" if array else hidden.get(JOB, "0")
    finally:
        os.environ.update(hidden)
