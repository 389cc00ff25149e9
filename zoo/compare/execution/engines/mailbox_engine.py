"""An engine whose workers are jobs of a cluster, which come late, end early and begin again."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoo.compare.execution.engine import Outcome, Terms
from zoo.compare.execution.engines.queue import LARGEST, Place, Queue
from zoo.compare.execution.engines.sender import Sender
from zoo.errors import ConfigError, ResourceError
from zoo.system.heartbeat import Watch

log = logging.getLogger("zoo")
LOOK = 5.0  # seconds between two questions to the queue
LAG = 10.0  # seconds after the end of a task in which what it wrote comes to be seen
LEAVE = 15.0  # seconds for tasks to end that are cancelled
BARREN = 3  # tasks that may end before they begin to work for each that is needed or began
VAIN = 12  # looks after which it ends that find no task and get none
PATIENCE = 20.0  # seconds from a refusal of the queue to the next request


class MailboxEngine:
    """Gives jobs to the tasks of a queue by a mailbox in the folder of the comparison.

    There are as many tasks as jobs need, so that those that have ended are replaced. A job is lost
    where its task is no longer in the queue, or gives no sign of life.

    Args:
        terms: of the comparison; `workers` is known.
        queue: of the cluster.
        at_once: jobs that a task does at a time.
    """

    def __init__(self, terms: Terms, queue: Queue, at_once: int = 1):
        assert terms.workers
        self.terms, self.queue, self.at_once = terms, queue, at_once
        self.workers = terms.workers
        self.sender = Sender(terms.logs, queue.cancel)
        self.name, self.logs = self.sender.name, self.sender.logs
        self.mailbox = self.sender.mailbox
        self.jobs: dict[str, str] = {}  # the name of each in the mailbox: in the comparison
        self.watches: dict[str, Watch] = {}  # of workers
        self.gone: dict[str, float] = {}  # workers whose tasks are not in the queue, since when
        self.count = self.asked = self.vain = 0
        self.looked = self.refused = float("-inf")
        self.lack = ""  # why no more tasks can be had
        self.note = ""

    @property
    def free(self) -> int:
        """The number of jobs that can be submitted now."""
        return self.workers - len(self.jobs)

    def submit(self, job: str, request: dict[str, Any]) -> None:
        """Puts a job into the mailbox."""
        if self.sender.heart is None:
            self.sender.open()
        name = f"{self.count:08}"
        self.count += 1
        self.jobs[name] = job
        with self.sender.whole():
            self.mailbox.ask(name, request)

    def poll(self, seconds: float) -> list[Outcome]:
        """The jobs that ended; waits for one some seconds at most, and looks after the tasks."""
        until, pause = time.monotonic() + seconds, seconds / 32
        while True:
            with self.sender.whole():
                due = self.jobs and time.monotonic() - self.looked > LOOK
                outcomes = (self.tend() if due else []) + self.collect()
            left = until - time.monotonic()
            if outcomes or left <= 0:
                return outcomes
            time.sleep(min(pause, left))
            pause *= 2

    def collect(self) -> list[Outcome]:
        """The jobs that were answered."""
        outcomes = self.mailbox.outcomes() if self.jobs else []
        known = [outcome for outcome in outcomes if outcome.job in self.jobs]
        return [replace(outcome, job=self.jobs.pop(outcome.job)) for outcome in known]

    def tend(self) -> list[Outcome]:
        """The jobs that are lost with their tasks; asks the queue for as many tasks as jobs need.

        Errors:
            ConfigError: the queue refuses the first tasks.
            ResourceError: no task is left, and none can be had that begins its work.
        """
        self.looked = time.monotonic()
        self.sender.end_dead()
        places = self.queue.places(self.name)
        self.note = "the queue does not answer" if places is None else words_of(places)
        claims = self.mailbox.claims()
        dead = {w for w in {worker for _, worker in claims} if self.is_dead(w, places)}
        lost = self.collect()  # what they answered before
        for name, worker in claims:
            if worker in dead:
                self.mailbox.forget(name, worker)
                if name in self.jobs:
                    why = f"task {task_of(worker)} of the queue ended or gave no sign of life"
                    where = f"{self.terms.logs.name}/{self.name}/{worker}"
                    lost.append(Outcome(self.jobs.pop(name), lost=why, log=where))
        if places is not None or not self.asked:
            self.lack = self.fill(places or {})
            self.note = ", ".join(filter(None, [self.note, self.lack]))
            self.vain = self.vain + 1 if self.lack and not places and not claims else 0
            if self.vain >= VAIN and not lost:
                fix = "read the logs there; the same command continues with the runs that are left"
                raise ResourceError(f"no task is left, and {self.lack}", str(self.logs), fix)
        return lost

    def is_dead(self, worker: str, places: Mapping[str, Place] | None) -> bool:
        """Whether a worker that has a job will not answer any more.

        Args:
            worker: a task from one of its starts to its end.
            places: of tasks in the queue; None: the queue does not answer.
        """
        watch = self.watches.setdefault(worker, self.mailbox.watch(worker))
        if places is None:
            return watch.is_dead()
        place = places.get(task_of(worker))
        if place is None or place.waits:
            return time.monotonic() - self.gone.setdefault(worker, time.monotonic()) > LAG
        self.gone.pop(worker, None)
        if place.rests:
            self.watches.pop(worker)
        return watch.is_dead() and not place.rests

    def fill(self, places: Mapping[str, Place]) -> str:
        """Puts as many tasks in line as jobs need beside those that are there.

        Args:
            places: the tasks in the queue.

        Returns:
            Why no more can be had; empty where they can, or are not needed.

        Errors:
            ConfigError: the queue refuses the first ones.
        """
        missing = min(LARGEST, math.ceil(len(self.jobs) / self.at_once) - len(places))
        if missing <= 0:
            return ""
        begun = set(map(task_of, self.mailbox.workers()))
        barren = self.asked - len(begun.union(places))
        if barren >= BARREN * max(len(begun), math.ceil(self.workers / self.at_once)):
            return f"{barren} tasks ended before they began to work"
        if time.monotonic() - self.refused < PATIENCE:
            return self.lack
        try:
            self.queue.submit(missing, self.mailbox.path, self.logs)
        except ConfigError as error:
            if not self.asked:
                raise
            self.refused = time.monotonic()
            return f"the queue refuses more: {error.what}"
        self.asked += missing
        return ""

    def close(self) -> None:
        """Ends all tasks."""
        if self.sender.heart is None:
            return
        self.queue.cancel(self.name)
        until = time.monotonic() + LEAVE
        while self.queue.places(self.name) and time.monotonic() < until:
            time.sleep(LEAVE / 60)
        self.sender.close()


def words_of(places: Mapping[str, Place]) -> str:
    """How many tasks wait in the queue, and for what; empty where none does."""
    waiting = [place for place in places.values() if place.waits]
    reasons = ", ".join(sorted({place.reason for place in waiting if place.reason}))
    why = f" ({reasons})" if reasons else ""
    return f"{len(waiting)} workers wait in the queue{why}" if waiting else ""


def task_of(worker: str) -> str:
    """The name in the queue of the task that a worker is."""
    return worker.partition(".")[0]
