"""The processes of a run: which one this is, and whether the others on this machine live."""

from __future__ import annotations

import contextlib
import subprocess
import threading

from pytorch_lightning import Trainer
from torch.distributed import DistError, PrefixStore
from torch.distributed.distributed_c10d import _get_default_store

from zoo.system.console import say
from zoo.system.launch import is_first

STARTED: list[subprocess.Popen[bytes]] = []  # other processes of this run
OBSERVER = "child-process-observer"  # Lightning's thread, which kills this process with a child
LOST = (  # how gloo, NCCL and the store say that another process is gone, or does not answer
    "gloo/transport",
    "remote process exited",
    "Connection closed by",
    "Connection reset by peer",
    "Connection refused",
    "Connection was likely closed",
    "Broken pipe",
    "communicator was aborted",
    "collective operation timeout",
    "has timed out",
    "wait timeout",
    "Socket Timeout",
)


def say_once(text: str) -> None:
    """Writes one line to stderr, in the first process of a run alone."""
    if is_first():
        say(text)


class Ranks:
    """The processes of a run as this one sees them.

    Attributes:
        rank: of this process.
        world: the number of processes.
        children: those that this one started; in rank order, from rank 1.
    """

    def __init__(self, trainer: Trainer):
        self.launcher = trainer.strategy.launcher
        self.rank, self.world = trainer.global_rank, trainer.world_size
        self.children: list[subprocess.Popen[bytes]] = []

    def adopt(self) -> None:
        """Takes over from Lightning's observer the processes that this one has started.

        It would kill this process within seconds of another's end, before it can say why.
        """
        if self.world == 1:
            return
        for thread in threading.enumerate():
            if thread.name == OBSERVER:
                vars(thread)["_child_processes"] = []
        started = getattr(self.launcher, "procs", [])
        STARTED[:] = started or STARTED  # none where a run returns to an earlier step
        self.children = STARTED

    def lost(self) -> str:
        """Which other processes of this machine have failed; empty where none has."""
        codes = {rank: child.poll() for rank, child in enumerate(self.children, 1)}
        return ", ".join(
            f"process {rank} of {self.world} was lost ({ended(code)})"
            for rank, code in codes.items()
            if code
        )

    def leave_word(self, why: str) -> None:
        """Tells the others why this process ends; they would only see that it is gone."""
        with contextlib.suppress(RuntimeError, ValueError):  # they are gone, or not here yet
            words_of_all().set(str(self.rank), why)

    def words(self) -> str:
        """Which other processes have left word of their end, and which."""
        with contextlib.suppress(RuntimeError, ValueError):
            words = words_of_all()
            others = (str(rank) for rank in range(self.world) if rank != self.rank)
            found = {rank: words.get(rank).decode() for rank in others if words.check([rank])}
            return ", ".join(
                f"process {rank} of {self.world} was lost ({why})" for rank, why in found.items()
            )
        return ""

    def living(self) -> list[int]:
        """The ranks of the children that have not ended."""
        return [rank for rank, child in enumerate(self.children, 1) if child.poll() is None]

    def kill(self) -> None:
        """Ends the children."""
        for child in self.children:
            child.kill()

    def __str__(self) -> str:
        return f"process {self.rank} of {self.world}" if self.world > 1 else "this process"


def words_of_all() -> PrefixStore:
    """What processes tell each other as they end; ValueError before they have met."""
    return PrefixStore("ended", _get_default_store())


def ended(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {-code}" if code < 0 else f"exit {code}"


def is_lost_process(error: BaseException) -> bool:
    """Whether an error of PyTorch says that processes can no longer reach each other."""
    text = str(error)
    of_torch = isinstance(error, DistError) or any(each in text for each in ("gloo", "NCCL"))
    return isinstance(error, RuntimeError) and of_torch and any(each in text for each in LOST)
