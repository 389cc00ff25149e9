"""A queue whose tasks are processes of this machine, for tests of workers without a Slurm.

As a program it is one task: python queue_of_processes.py TASK, where TASK is JSON.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines import array_task
from zoo.compare.execution.engines.array_task import ArrayTask
from zoo.compare.execution.engines.mailbox_engine import MailboxEngine
from zoo.compare.execution.engines.queue import Place
from zoo.system import heartbeat


class ProcessQueue:
    """Starts tasks at once, as many as it has room for; the others wait.

    Args:
        terms: of the workers of a task.
        minutes: of a task.
        silent: seconds after which a task takes its sender for dead.
        room: the most tasks at a time.
    """

    def __init__(self, terms, minutes=60.0, silent=120.0, room=100):
        self.terms, self.minutes, self.silent, self.room = terms, minutes, silent, room
        self.tasks, self.waiting, self.count, self.cancelled = {}, [], 0, []

    def submit(self, count, mailbox, logs):
        for _ in range(count):
            self.count += 1
            self.waiting.append((str(self.count), mailbox, logs))

    def start(self, number, mailbox, logs):
        given = {
            "mailbox": str(mailbox),
            "logs": str(logs),
            "program": [*self.terms.program],
            "workers": self.terms.workers,
            "seconds": self.terms.seconds,
            "minutes": self.minutes,
            "silent": self.silent,
        }
        env = os.environ | {"SLURM_JOB_ID": number, "SLURM_NTASKS": "1"}
        command = [sys.executable, __file__, json.dumps(given)]
        self.tasks[number] = subprocess.Popen(command, env=env)

    def places(self, name):
        self.tasks = {n: task for n, task in self.tasks.items() if task.poll() is None}
        while self.waiting and len(self.tasks) < self.room:
            self.start(*self.waiting.pop(0))
        waiting = {number: Place(True, reason="Resources") for number, *_ in self.waiting}
        return {number: Place(False) for number in self.tasks} | waiting

    def cancel(self, name):
        self.cancelled.append(name)
        self.waiting = []
        self.tell(signal.SIGTERM)

    def tell(self, number):
        """Sends a signal to all tasks."""
        for task in self.tasks.values():
            task.send_signal(number)


def engine_of_processes(terms, at_once=1, **options):
    """The engine of a cluster that is this machine."""
    return MailboxEngine(terms, ProcessQueue(replace(terms, workers=at_once), **options), at_once)


def main(given):
    heartbeat.SILENT = given["silent"]
    array_task.BEAT = min(array_task.BEAT, given["silent"] / 4)
    seconds, program = given["seconds"], given["program"]
    terms = Terms(Path(given["logs"]), given["workers"], seconds, program)
    ArrayTask(terms, given["minutes"], 1, Path(given["mailbox"]))()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
