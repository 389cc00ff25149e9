"""Runs whose steps no longer come are ended: a process hangs, is frozen or was lost."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from torch.distributed import DistError

from tasks.lean import LeanCallback
from tasks.rollback import RolledBack
from zoo.errors import ResourceError

TICK = 0.5  # seconds between two looks
FLOOR, TIMES = 60.0, 10.0  # a hang: that many seconds, and times the usual ones
GRACE = 5.0  # seconds in which the other processes write down their stacks
STARTED: list[subprocess.Popen[bytes]] = []  # other processes of this run
OBSERVER = "child-process-observer"  # Lightning's thread, which kills this process with a child


class Watchdog(LeanCallback):
    """Ends all processes of a run that hangs; those that still answer leave stacks in its log.

    It counts its own looks, so that a machine or a process that slept for a while is no hang.
    Before the first step, and in the first validation, the process group's timeout alone holds.

    Args:
        seconds: without a step that are a hang; None: ten median steps, and at least a minute; 0:
            none are, as a debugger needs it. A validation may take ten times the longest so far.
        folder: of the run; None in all but the first process.
        log: of the run; None in all but the first process.
        fail: notes in the first process how the run ended.
    """

    def __init__(self, seconds: float | None, log: Path | None, fail: Callable[[str], None]):
        self.seconds = seconds
        self.stacks = str(log) if log else ""
        self.fail = fail
        self.first = os.getpid()
        self.rank, self.world, self.step = 0, 1, 0
        self.children: list[subprocess.Popen[bytes]] = []
        self.steps: deque[float] = deque(maxlen=100)  # seconds of the last ones
        self.longest = 0.0  # seconds of a validation, with the step that follows
        self.validating = False
        self.began: float | None = None  # of what is awaited now
        self.silence = 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, name="zoo-watchdog", daemon=True)

    def on_fit_start(self, trainer: Trainer, task: Any) -> None:
        self.rank, self.world = trainer.global_rank, trainer.world_size
        if self.world > 1:
            self.stacks, self.first = trainer.strategy.broadcast((self.stacks, self.first))
            self.children = adopted(trainer)
        self.thread.start()

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        now = time.perf_counter()
        if self.began is not None and self.validating:
            self.longest = max(self.longest, now - self.began)
        elif self.began is not None:
            self.steps.append(now - self.began)
        self.began, self.silence, self.validating = now, 0.0, False
        self.step = trainer.global_step

    def on_validation_start(self, trainer: Trainer, task: Any) -> None:
        self.began, self.silence, self.validating = time.perf_counter(), 0.0, True

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        self.began = None

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Watches no longer; the other processes of a run that failed are ended.

        Errors:
            ResourceError: the run failed because another process was lost.
        """
        self.ended.set()
        if error is None or isinstance(error, RolledBack):
            return
        why = self.why_lost(error) if self.world > 1 and is_lost_process(error) else ""
        self.kill()
        if why:
            fix = f"continue by fit from={Path(self.stacks).parent}"
            where = f"process {self.rank} of {self.world}"
            raise ResourceError(f"{why} after step {self.step}", where, fix) from error

    def why_lost(self, error: BaseException) -> str:
        """What ended the connection to the other processes."""
        until = time.monotonic() + GRACE
        while self.children and not self.lost() and time.monotonic() < until:
            time.sleep(TICK / 10)
        reason = " ".join(str(error).split())[:120]
        return self.lost() or f"the connection between processes was lost ({reason})"

    def kill(self) -> None:
        """Ends the other processes of this machine."""
        for child in self.children:
            child.kill()

    def watch(self) -> None:
        """Looks again and again whether steps come and the other processes live."""
        while not self.ended.wait(TICK):
            limit = self.limit()
            self.silence += TICK
            if self.began is not None and limit is not None and self.silence > limit:
                self.stop(f"no step for {self.silence:.0f} s after step {self.step}")
            if self.lost() and not self.ended.wait(GRACE):  # it did not fail by itself
                self.stop(f"{self.lost()} after step {self.step}")

    def limit(self) -> float | None:
        """Seconds without a step that are a hang; None where none are, or nothing to go by."""
        if self.seconds == 0:
            return None
        if self.validating:
            return max(self.seconds or FLOOR, TIMES * self.longest) if self.longest else None
        steps = list(self.steps)
        usual = max(FLOOR, TIMES * statistics.median(steps)) if steps else None
        return self.seconds or usual

    def lost(self) -> str:
        """Which of the other processes of this machine have failed; empty where none has."""
        codes = {rank: child.poll() for rank, child in enumerate(self.children, 1)}
        return ", ".join(
            f"process {rank} of {self.world} was lost ({ended(code)})"
            for rank, code in codes.items()
            if code
        )

    def stop(self, what: str) -> None:
        """Writes down all stacks and ends this process, the first one with all others."""
        with (
            contextlib.suppress(OSError),  # a full disk must not keep a run that hangs
            open(self.stacks or os.devnull, "a", encoding="utf-8") as log,
        ):
            log.write(f"process {self.rank} of {self.world}: {what}; its threads:\n")
            log.flush()
            faulthandler.dump_traceback(log, all_threads=True)
        if self.ended.wait(GRACE):  # for the others to do the same
            return  # the main thread has an error of its own to tell
        silent = [rank for rank, child in enumerate(self.children, 1) if child.poll() is None]
        named = ", ".join(map(str, self.unheard(silent)))
        what += f"; no answer from process {named}" if named else ""
        if self.rank == 0:
            self.kill()
            self.say(what)
            with contextlib.suppress(OSError, ResourceError):
                self.fail(what)
        elif not self.ended.wait(2 * GRACE) and os.getppid() == self.first:
            os.kill(self.first, signal.SIGKILL)  # frozen, or it would have ended this process
            self.say(f"{what}; no answer from process 0")
        os._exit(ResourceError.code)

    def unheard(self, ranks: list[int]) -> list[int]:
        """Those of these processes that wrote no stacks into the log."""
        text = Path(self.stacks).read_text(encoding="utf-8") if self.stacks else ""
        return [rank for rank in ranks if f"process {rank} of {self.world}: no step" not in text]

    def say(self, what: str) -> None:
        """The error as its one line."""
        where = f"process {self.rank} of {self.world}" if self.world > 1 else "this process"
        fix = f"the stacks are in {self.stacks}; continue by fit from={Path(self.stacks).parent}"
        print(f"zoo: error: {ResourceError(what, where, fix)}", file=sys.stderr, flush=True)


def adopted(trainer: Trainer) -> list[subprocess.Popen[bytes]]:
    """The processes that this one started, taken from Lightning's observer.

    It would kill this process within seconds of another's end, before it can say why.
    """
    for thread in threading.enumerate():
        if thread.name == OBSERVER:
            vars(thread)["_child_processes"] = []
    started = getattr(trainer.strategy.launcher, "procs", [])
    STARTED[:] = started or STARTED  # none where a run returns to an earlier step
    return STARTED


def ended(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {-code}" if code < 0 else f"exit {code}"


def is_lost_process(error: BaseException) -> bool:
    """Whether an error says that processes can no longer reach each other."""
    collective = isinstance(error, RuntimeError) and "gloo" in str(error)
    return collective or isinstance(error, DistError)
