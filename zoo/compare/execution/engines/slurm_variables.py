"""Slurm's variables, which say where in a job a process is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

JOB, PREFIX = "SLURM_JOB_ID", "SLURM_"  # of variables that say where in a job a process is
SETTINGS = "SLURM_CONF"  # of the cluster, and of no job


@contextlib.contextmanager
def outside_slurm() -> Iterator[dict[str, str]]:
    """A context in which nothing shows that this is a job of Slurm; gives the hidden variables.

    Libraries take such variables for those of a run over several processes, and a job that is
    submitted takes them for its own.
    """
    names = [key for key in os.environ if key.startswith(PREFIX) and key != SETTINGS]
    hidden = {key: os.environ.pop(key) for key in names if JOB in names}
    try:
        yield hidden
    finally:
        os.environ.update(hidden)


def place_of(variables: Mapping[str, str]) -> str:
    """The name in the queue of the task that some variables are of."""
    array, number = variables.get("SLURM_ARRAY_JOB_ID"), variables.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{number}" if array else variables.get(JOB, "0")
