"""A task of a Slurm array: it takes jobs from a mailbox until its time nears its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zoo.compare.execution.engine import ALLOCATION, Outcome, Terms
from zoo.compare.execution.engines.local import LocalEngine
from zoo.compare.execution.engines.mailbox import Mailbox
from zoo.compare.execution.engines.slurm_variables import outside_slurm, place_of
from zoo.system.heartbeat import BEAT

NOTICE = 90.0  # seconds between Slurm's signal that time is over and the end
EARLY = 60.0  # seconds by which Slurm may send it sooner
SLACK = 2.0  # times its estimate that a job may take
IDLE = 120.0  # seconds without a job after which a task leaves its place to others
LONGEST = 1.0  # seconds between two looks for a job
TOLD = 0.2  # seconds in which a signal comes to this process that has ended a worker


def notice(minutes: float) -> float:
    """The seconds before the end of a task at which Slurm tells it."""
    return min(NOTICE, 15 * minutes)


@dataclass(frozen=True)
class ArrayTask:
    """What Slurm runs: a function without arguments.

    Args:
        terms: of the workers here, of which there are `terms.workers`.
        minutes: of the task, at whose end Slurm kills it.
        per_gpu: workers that share a GPU.
        mailbox: folder of the jobs.
    """

    terms: Terms
    minutes: float
    per_gpu: int = 1
    mailbox: Path = Path()

    def at(self, mailbox: Path, logs: Path) -> ArrayTask:
        """The same for a mailbox and a folder of logs."""
        return replace(self, mailbox=mailbox, terms=replace(self.terms, logs=logs))

    def __call__(self) -> None:
        if os.environ.get("SLURM_PROCID", "0") != "0":
            return  # the first machine of a task has the workers
        before = signal.getsignal(signal.SIGUSR2)  # of submitit, which puts the task back in line
        with outside_slurm() as variables:
            if int(variables.get("SLURM_NNODES", 1)) > 1:  # for runs on all these machines
                os.environ[ALLOCATION] = json.dumps(variables)
            shift = Shift(self, place_of(variables))
            for number in (signal.SIGUSR2, signal.SIGTERM):
                signal.signal(number, shift.tell)
            shift.work()
        if shift.told == signal.SIGUSR2 and callable(before):
            before(signal.SIGUSR2, None)

    def checkpoint(self) -> Any:
        """What submitit runs when the task, put back in line, begins again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass
class Shift:
    """The life of a task from its start until it ends or Slurm puts it back in line.

    Args:
        task: that is done.
        place: name of the task in Slurm.
        told: the signal by which Slurm said that it must end; None: it has not.
        jobs: the requests of the jobs in progress, by name.
        since: when each of them began, in seconds of the monotonic clock.
        first: names of those that have the whole time.
        short: whether there was a job for which the rest of the time is too short.
    """

    task: ArrayTask
    place: str
    told: int | None = None
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    first: set[str] = field(default_factory=set)
    short: bool = False

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(self.task.mailbox)
        self.name = f"{self.place}.{uuid.uuid4().hex[:6]}"
        logs = self.task.terms.logs / self.name
        self.engine = LocalEngine(replace(self.task.terms, logs=logs), self.task.per_gpu)
        self.pulse, self.sender = self.mailbox.pulse(self.name), self.mailbox.watch()
        self.began = self.busy = time.monotonic()
        whole, told = 60 * self.task.minutes, notice(self.task.minutes)
        self.latest = self.began + whole - 2 * told
        self.over = min(self.latest, self.began + whole - told - EARLY)  # from when it may be told
        self.looked = float("-inf")

    def tell(self, number: int, _: object) -> None:
        """Notes a signal of Slurm."""
        self.told = self.told or number

    def work(self) -> None:
        """Does jobs until Slurm, the sender, time or a lack of jobs ends it."""
        if not self.mailbox.exists():
            return
        self.engine.terms.logs.mkdir(parents=True, exist_ok=True)
        pause = LONGEST / 64
        try:
            while not self.told and self.is_wanted():
                taken = self.take()
                ended = self.engine.poll(pause)
                for outcome in ended:
                    self.answer(outcome)
                pause = LONGEST / 64 if taken or ended else min(2 * pause, LONGEST)
        finally:
            self.engine.close()
            for name in list(self.jobs):
                self.hand_back(name)

    def is_wanted(self) -> bool:
        """Whether the sender lives, counts on this task, and has had jobs for it of late."""
        now = time.monotonic()
        if self.jobs:
            self.busy = now
        if now - self.looked > BEAT:
            self.looked = now
            self.pulse.beat()
            with_me = self.mailbox.claims() if self.mailbox.exists() else []
            lost = [name for name in self.jobs if (name, self.name) not in with_me]
            for name in lost:  # it was taken for dead
                del self.jobs[name]
            if lost or not self.mailbox.exists() or self.sender.is_dead():
                return False
        late = self.short or now > self.latest or now - self.busy > IDLE
        return bool(self.jobs) or not late

    def take(self) -> bool:
        """Takes the jobs for which there are workers and time; whether there was one."""
        before = len(self.jobs)
        with contextlib.suppress(FileNotFoundError):  # the sender has ended
            while self.engine.free and (job := self.mailbox.take(self.name, self.fits)):
                name, request = job
                if self.is_fresh:
                    self.first.add(name)
                self.jobs[name], self.since[name] = request, time.monotonic()
                self.engine.submit(name, request)
        return len(self.jobs) > before

    @property
    def is_fresh(self) -> bool:
        """Whether a job that begins now has as much time as in any other task."""
        return time.monotonic() - self.began < BEAT

    def fits(self, request: dict[str, Any]) -> bool:
        """Whether a job is thought to end before the task does; another task has not more time."""
        runs = request.get("runs", [request])
        seconds = sum(run.get("estimate") or 0.0 for run in runs)
        seconds = max(seconds, request.get("spent", 0.0))
        enough = self.is_fresh or time.monotonic() + SLACK * seconds < self.latest
        self.short = self.short or not enough
        return enough

    def answer(self, outcome: Outcome) -> None:
        """Answers a job, unless it was lost because this task ends."""
        if outcome.lost and not self.told:
            time.sleep(TOLD)  # Slurm's signal may have met the worker first
        if self.told and (outcome.lost or "error" in (outcome.answer or {})):
            return
        log = f"{self.task.terms.logs.parent.name}/{self.task.terms.logs.name}/{outcome.log}"
        del self.jobs[outcome.job]
        seconds = time.monotonic() - self.since.pop(outcome.job)
        self.mailbox.answer(outcome.job, replace(outcome, log=log, seconds=seconds))
        self.mailbox.forget(outcome.job, self.name)

    def hand_back(self, name: str) -> None:
        """Puts a job that has not ended back, or says that no task is long enough for it."""
        request, spent = self.jobs.pop(name), time.monotonic() - self.since.pop(name)
        with contextlib.suppress(OSError):  # the sender has ended
            if name in self.first and time.monotonic() > self.over:
                given = f"engine.time={self.task.minutes:g}"
                lost = f"no end within the minutes of a whole task of Slurm ({given}: give more)"
                self.mailbox.answer(name, Outcome(name, lost=lost))
            else:
                spent = max(spent, request.get("spent", 0.0))
                self.mailbox.give_back(name, self.name, {**request, "spent": spent})
