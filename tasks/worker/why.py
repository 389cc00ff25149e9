"""What the stream of a net does by depth, at the start and at the end of a compared run."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.utils._pytree import tree_leaves

from tasks.fast_callback import FastCallback
from tasks.inference.diagnose import HALVES
from tasks.training.module import Task
from tasks.training.process_memory import forget_peak_memory
from zoo.connection import Connection, State
from zoo.errors import cut
from zoo.probes.stream.profile import Sizes
from zoo.probes.watch.watched import watched
from zoo.probes.watch.writes import Write
from zoo.run_folder import STREAM, RunFolder
from zoo.system.atomic import atomic_write

WIDEST = 200  # characters of a reason


class Why(FastCallback):
    """Probes a net on the first training batch, before the first step and when it is asked to.

    The run is the same, bit by bit, as one that is not probed. A probe that fails leaves its
    reason.

    Args:
        seed: of the run.
        precision: of its training.
    """

    def __init__(self, seed: int, precision: str):
        self.seed, self.half = seed, HALVES.get(precision)
        self.seen: dict[str, Any] = {"reason": "", "seconds": 0.0}
        self.draws: dict[str, Tensor] = {}  # states of the task's generators at the start

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        if not trainer.global_step:
            self.probe(task, "start")
            forget_peak_memory()

    def probe(self, task: Task, when: str) -> None:
        """Notes what the stream does, unless a probe has failed before.

        Args:
            task: with its weights.
            when: `start` or `end`.
        """
        if self.seen["reason"]:
            return
        began = time.perf_counter()
        draws = {name: each.get_state() for name, each in task.generators.items()}
        self.draws = self.draws or draws
        for name, state in self.draws.items():  # both ends draw the same
            task.generators[name].set_state(state)
        try:
            with task.evaluating(), torch.enable_grad():
                self.seen |= self.look(task, when)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.seen["reason"] = cut(f"the probe of the {when} failed ({reason})", WIDEST)
        for name, state in draws.items():
            task.generators[name].set_state(state)
        self.seen["seconds"] += time.perf_counter() - began

    def look(self, task: Task, when: str) -> dict[str, Any]:
        """The numbers by depth of one pass, with the batch and the measure of collapse."""
        batch = next(iter(task.train_loader()))
        measure, collapse = task.collapse_measure(batch)
        watch, half = Look(collapse), self.half
        foreign = not any(isinstance(part, Connection) for part in task.modules())
        with (
            watched(task, watch, sums=foreign),
            torch.autocast(task.device.type, half, enabled=half is not None),
        ):
            torch.manual_seed(self.seed)  # of dropout
            task.train()
            task.loss(batch).backward()
        if not watch.modules:
            raise ValueError("the net has no write")
        return {"batch": digest(batch), "measure": measure, when: watch.plain()}

    def write(self, folder: RunFolder) -> None:
        """Writes what was seen into the folder of the run."""
        atomic_write(folder.path / STREAM, json.dumps(self.seen))


class Look(Sizes):
    """Sizes and gradients by depth, and how alike what the stream holds has become; no cosine.

    Args:
        collapse: measures a value of the stream.
    """

    def __init__(self, collapse: Callable[[Tensor], Tensor]):
        super().__init__()
        self.collapse = collapse

    def reads(self, write: Write, x: Tensor) -> Tensor:
        self.read_alone(write, x)
        return x

    def compare(self, write: Write, value: Tensor, branch: Tensor) -> None:
        pass

    def terms(self, write: Write, state: State, branch: Tensor) -> tuple[State, Tensor]:
        self.keep("collapse", write, self.collapse(write.value(state).detach()))
        return super().terms(write, state, branch)

    def after(self, write: Write, state: State) -> State:
        self.value = write.value(state).detach()
        return super().after(write, state)

    def posted(self, write: Write, state: State) -> State:
        self.value = write.value(state).detach()
        return super().posted(write, state)

    def plain(self) -> dict[str, list[float | None]]:
        """The numbers by depth as JSON, None where one is not finite."""
        profile, collapse = self.profile(), [*self.row("collapse"), self.collapse(self.value)]
        rows = {
            "stream": profile.stream.tolist(),
            "gradient": profile.gradient.tolist(),
            "share": profile.ratio.tolist(),
            "collapse": [float(value) for value in collapse],
        }
        return {name: [x if math.isfinite(x) else None for x in row] for name, row in rows.items()}


def digest(batch: Any) -> str:
    """A digest of the numbers in a batch."""
    leaves = [x.tolist() if isinstance(x, Tensor) else x for x in tree_leaves(batch)]
    return hashlib.sha256(repr(leaves).encode()).hexdigest()[:20]
