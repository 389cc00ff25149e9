"""Training steps that cannot be recorded as a CUDA graph are refused, as early as that is known."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback

from tasks.training.module import Task
from tasks.training.two_parts import InTwoParts
from zoo.connection import Connection
from zoo.errors import ConfigError, is_out_of_memory
from zoo.stack import Stack

FIX = "give trainer.graphs=false"
ONCE = {  # methods of a step, which would be called while it is recorded and then no more
    *("training_step", "optimizer_step", "configure_gradient_clipping", "backward"),
    *("on_before_zero_grad", "optimizer_zero_grad", "on_before_backward", "on_after_backward"),
    "on_before_optimizer_step",
}


def refuse(what: str, where: str, *fixes: str) -> None:
    """ConfigError: with this trainer.graphs=true is not possible."""
    fix = "give " + ", or ".join([*fixes, "trainer.graphs=false"])
    raise ConfigError(f"{what}, so trainer.graphs=true cannot record it", where, fix)


def refuse_options(training: Any) -> None:
    """ConfigError where the options of training, or this machine, do not let steps be recorded."""
    if not training.graphs:
        return
    if training.accelerator == "cpu":
        where = "trainer.graphs=true"
        raise ConfigError("CUDA graphs need a GPU, and training is on the CPU", where, FIX)
    if training.processes > 1:
        what = "a step of several GPUs waits for all of them"
        refuse(what, "trainer.devices", "trainer.devices=1")
    if training.accumulate > 1:
        what = "a step of several batches keeps gradients between them"
        refuse(what, "trainer.accumulate", "a larger data.batch_size instead")


def refuse_task(training: Any, task: Task) -> None:
    """ConfigError where a step of a task, or of its model, cannot be recorded."""
    if not training.graphs:
        return
    kind = type(task)
    where = f"{kind.__module__}.{kind.__qualname__}"
    own = [name for name in sorted(ONCE) if getattr(kind, name) is not getattr(Task, name)]
    if not isinstance(task, InTwoParts) or kind.loss is not InTwoParts.loss:
        own = ["loss", *own]
    if own:
        refuse(f"the task has {', '.join(own)} of its own", where)
    if task.shapes_vary:
        what = f"steps differ in their shapes by {task.shapes_vary}"
        refuse(what, task.shapes_vary, "its default")
    for module in task.model.modules():
        if isinstance(module, Connection) and module.inverts:
            what = "a rule that is undone in the backward pass draws again by the host's state"
            refuse(what, "connection")
        if isinstance(module, Stack) and module.checkpoint:
            what = "activation checkpointing draws again by the host's state"
            refuse(what, "model.checkpoint", "model.checkpoint=false")


def refuse_trainer(trainer: Any) -> None:
    """ConfigError for a callback that would be called once, or an optimiser that is not fused."""
    for callback in trainer.callbacks:
        for name in sorted(ONCE):
            hook, empty = getattr(callback, name, None), getattr(Callback, name, None)
            if callable(hook) and getattr(type(callback), name) is not empty:
                kind = type(callback)
                where = f"{kind.__module__}.{kind.__qualname__}"
                refuse(f"a callback has {name}, which is called inside a step", where)
    groups = trainer.optimizers[0].param_groups
    if not all(group.get("fused") for group in groups):
        refuse("an optimiser that is not fused reads its rate on the host", "optimizer")


@contextlib.contextmanager
def refusing_what_cannot_repeat(kind: str) -> Iterator[None]:
    """Within, what cannot be recorded is a ConfigError, as are numbers that the host draws.

    Args:
        kind: of the work, for messages.
    """
    before = host_states()
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
        what = f"a {kind} cannot be recorded ({reason})"
        raise ConfigError(what, "trainer.graphs=true", FIX) from error
    if host_states() != before:
        what = f"a {kind} draws random numbers outside the GPU, which would be the same in all"
        raise ConfigError(what, "trainer.graphs=true", FIX)


def host_states() -> list[bytes]:
    """The states of the generators of Python, NumPy and PyTorch on the host."""
    _, keys, *rest = np.random.get_state(legacy=True)
    states = repr((random.getstate(), rest)).encode(), np.asarray(keys).tobytes()
    return [*states, torch.get_rng_state().numpy().tobytes()]
