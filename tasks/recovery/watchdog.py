"""Ends runs that take no more steps, since a process hangs, is frozen or was lost."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import Trainer

from tasks.fast_callback import FastCallback
from tasks.recovery.ranks import Ranks, is_lost_process
from tasks.recovery.rollback import RolledBack
from zoo.errors import ResourceError, as_zoo_error
from zoo.system.launch import launch

TICK = 0.5  # seconds between two looks
FLOOR, TIMES = 60.0, 10.0  # a hang: that many seconds, and times the usual ones
LONGEST = 1800.0  # seconds without a sign of life where nothing tells what is usual
GRACE = 5.0  # seconds in which the other processes write down their stacks
Phase = Literal["start", "step", "validation", "checkpoint", "evaluation"]


class Watchdog(FastCallback):
    """Ends all processes of a run that hangs; those that still answer leave stacks in its log.

    It counts its own looks, so that a machine or a process that slept for a while is no hang.

    Args:
        seconds: without a step that are a hang; ten times as many outside of steps: at the start,
            in the first validation, in a checkpoint and in the evaluation. None: ten median steps,
            and at least a minute; outside of steps half an hour. A later validation may take as
            long as a step, and ten times the longest so far. 0: none are, as a debugger needs it.
        log: of the run; None in all but the first process.
        fail: notes in the first process how the run ended.
    """

    def __init__(self, seconds: float | None, log: Path | None, fail: Callable[[str], None]):
        self.seconds = seconds
        self.stacks = str(log) if log else ""
        self.fail = fail
        self.first = os.getpid()
        self.ranks: Ranks
        self.step = 0
        self.phase: Phase = "start"
        self.began = time.perf_counter()  # of what is awaited now
        self.steps: deque[float] = deque(maxlen=100)  # seconds of the last ones
        self.longest = 0.0  # seconds of a validation
        self.silence = 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, name="zoo-watchdog", daemon=True)

    def over(self, trainer: Trainer) -> Watchdog:
        """Returns this watchdog, to watch the processes of a trainer from their start on."""
        self.ranks = Ranks(trainer)
        return self

    def on_fit_start(self, trainer: Trainer, task: Any) -> None:
        task.alive = self.alive
        if self.ranks.world > 1:
            self.stacks, self.first = trainer.strategy.broadcast((self.stacks, self.first))

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        self.step = trainer.global_step
        self.enter("start")  # the first step may compile

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        self.step = trainer.global_step
        self.enter("step")

    def on_validation_start(self, trainer: Trainer, task: Any) -> None:
        self.enter("validation")

    def on_validation_end(self, trainer: Trainer, task: Any) -> None:
        self.enter("step")

    def on_save_checkpoint(self, trainer: Trainer, task: Any, checkpoint: dict[str, Any]) -> None:
        self.enter("checkpoint")

    def on_fit_end(self, trainer: Trainer, task: Any) -> None:
        self.step = trainer.global_step
        self.enter("evaluation")

    def enter(self, phase: Phase) -> None:
        """Begins a phase, and notes how long the one that has ended took."""
        now = time.perf_counter()
        if self.phase == "validation":
            self.longest = max(self.longest, now - self.began)
        elif self.phase == "step" and phase != "validation":
            self.steps.append(now - self.began)
        self.phase, self.began = phase, now
        self.alive()

    def alive(self) -> None:
        """Notes a sign of life."""
        self.silence = 0.0

    def __enter__(self) -> Watchdog:
        self.thread.start()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Stops watching; where the run failed, its other processes are ended.

        Errors:
            ResourceError: the run failed because another process was lost.
        """
        self.ended.set()
        if error is None or isinstance(error, RolledBack):
            return
        self.ranks.adopt()
        several = self.ranks.world > 1
        why = self.why_lost(error) if several and is_lost_process(error) else ""
        if several and not why:
            self.ranks.leave_word(" ".join(str(as_zoo_error(error)).split()).partition(" -- ")[0])
        self.ranks.kill()
        if why:
            raise ResourceError(f"{why} {self.when()}", str(self.ranks), self.fix()) from error

    def why_lost(self, error: BaseException) -> str:
        """What ended the connection to the other processes."""
        until, known = time.monotonic() + GRACE, ""
        while not known and time.monotonic() < until:
            time.sleep(TICK / 10)
            known = self.ranks.words() or self.ranks.lost()
        reason = " ".join(str(error).split())[:120]
        return known or f"the connection between processes was lost ({reason})"

    def watch(self) -> None:
        """Checks again and again that steps come and the other processes live."""
        while not self.ended.wait(TICK):
            self.ranks.adopt()
            self.silence += TICK
            limit = self.limit()
            if limit is not None and self.silence > limit:
                self.stop(f"no step for {self.silence:.0f} s {self.when()}")
            if self.ranks.lost() and not self.ended.wait(GRACE):  # it did not fail by itself
                self.stop(f"{self.ranks.lost()} {self.when()}")

    def limit(self) -> float | None:
        """The seconds without a sign of life that are a hang; None where a run may always wait."""
        if self.seconds == 0:
            return None
        steps = list(self.steps)
        if self.phase == "step" and (self.seconds or steps):
            return self.seconds or max(FLOOR, TIMES * statistics.median(steps))
        if self.phase == "validation" and self.longest:
            return max(self.seconds or FLOOR, TIMES * self.longest)
        return TIMES * self.seconds if self.seconds else LONGEST

    def when(self) -> str:
        """The step and the phase that a run is in, in words."""
        if self.phase == "start":
            return "at the start"
        return f"after step {self.step}" + ("" if self.phase == "step" else f" ({self.phase})")

    def stop(self, what: str) -> None:
        """Writes all stacks to the log and ends this process; the first one ends the others too."""
        with (
            contextlib.suppress(OSError),  # a full disk must not keep a run that hangs
            open(self.stacks or os.devnull, "a", encoding="utf-8") as log,
        ):
            log.write(f"{self.ranks}: {what}; its threads:\n")
            log.flush()
            faulthandler.dump_traceback(log, all_threads=True)
        if self.ended.wait(GRACE):  # for the others to do the same
            return  # the main thread has an error of its own to tell
        named = ", ".join(map(str, self.unheard(self.ranks.living())))
        what += f"; no answer from process {named}" if named else ""
        if self.ranks.rank == 0:
            self.ranks.kill()
            self.say(what)
            with contextlib.suppress(OSError, ResourceError):
                self.fail(what)
        elif launch().by:  # which ends the others
            pass
        elif not self.ended.wait(2 * GRACE) and os.getppid() == self.first:
            os.kill(self.first, signal.SIGKILL)  # frozen, or it would have ended this process
            self.say(f"{what}; no answer from process 0")
        os._exit(ResourceError.code)

    def unheard(self, ranks: list[int]) -> list[int]:
        """Which of these processes wrote no stacks into the log."""
        text = Path(self.stacks).read_text(encoding="utf-8") if ranks else ""
        heading = "process {} of {}: no step"
        return [rank for rank in ranks if heading.format(rank, self.ranks.world) not in text]

    def fix(self) -> str:
        """How to go on; other processes than the first learn the run folder as training starts."""
        return f"continue by fit from={Path(self.stacks).parent if self.stacks else 'FOLDER'}"

    def say(self, what: str) -> None:
        """Writes the error to stderr, as one line."""
        fix = f"the stacks are in {self.stacks}; " if self.stacks else ""
        error = ResourceError(what, str(self.ranks), fix + self.fix())
        print(f"zoo: error: {error}", file=sys.stderr, flush=True)
