"""Slurm's queue: arrays of tasks are put in line by submitit, seen by squeue, ended by scancel."""

from __future__ import annotations

import contextlib
import getpass
import io
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.compare.execution.engines.array_task import ArrayTask
from zoo.compare.execution.engines.queue import LARGEST, Place
from zoo.compare.execution.engines.slurm_variables import outside_slurm
from zoo.errors import ConfigError, cut

OFTEN = 10_000  # times that a task is put back in line
WAITS = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT")
ENDED = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
RESTS = ("SUSPENDED", "STOPPED", "PREEMPTED")
ROW = re.compile(r"(?P<job>\d+)_(?P<task>\d+|N/A)\|(?P<state>\w+)\|(?P<reason>.*)")
REFUSAL = re.compile(r"error: (.*)")  # of sbatch
ANSWER = 60.0  # seconds that Slurm's programs may take
WIDEST = 200  # characters of an error


@dataclass(frozen=True)
class SlurmQueue:
    """The tasks of one sender in Slurm's queue, where the sender's name is theirs.

    Args:
        parameters: of sbatch, in submitit's words.
        task: what a task is, but for its mailbox and its logs.
    """

    parameters: Mapping[str, Any]
    task: ArrayTask

    def submit(self, count: int, mailbox: Path, logs: Path) -> None:
        """Puts some tasks in line as an array; ConfigError where Slurm refuses them."""
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        task = self.task.at(mailbox, logs)
        executor = SlurmExecutor(logs, max_num_timeout=OFTEN)
        given = {key: value for key, value in self.parameters.items() if value is not None}
        executor.update_parameters(job_name=logs.name, array_parallelism=LARGEST, **given)
        told = contextlib.redirect_stderr(io.StringIO())  # the error says it in one line
        try:
            with told, outside_slurm(), executor.batch():
                for _ in range(count):
                    executor.submit(task)
        except (FailedJobError, FailedSubmissionError) as error:
            refusals = REFUSAL.findall(str(error)) or str(error).split()
            what = cut(" ".join(refusals), WIDEST)
            fix = "mend the options engine.OPTION, or ask for fewer workers=N"
            raise ConfigError(what, "engine=slurm", fix) from None

    def places(self, name: str) -> dict[str, Place] | None:
        """The tasks of a sender that wait or run, by their names; None: Slurm does not answer."""
        rows = ask("squeue", "--noheader", "--array", f"--name={name}", "--format=%F_%K|%T|%r")
        found = {}
        for row in map(ROW.fullmatch, rows.splitlines() if rows is not None else ()):
            if row and row["state"] not in ENDED:
                task = row["job"] if row["task"] == "N/A" else f"{row['job']}_{row['task']}"
                reason = row["reason"] if row["reason"] != "None" else ""
                found[task] = Place(row["state"] in WAITS, row["state"] in RESTS, reason)
        return None if rows is None else found

    def cancel(self, name: str) -> None:
        """Ends the tasks of a sender."""
        ask("scancel", f"--name={name}")


def ask(*words: str) -> str | None:
    """What a program of Slurm prints about this user's tasks; None where it fails."""
    try:
        done = subprocess.run(
            [*words, f"--user={getpass.getuser()}"],
            capture_output=True,
            text=True,
            timeout=ANSWER,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
