"""Where a training step loses its finite numbers: its batches are run once more without a trace."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning import Trainer

from zoo.probes.nonfinite_origin import origin_of_non_finite


def origin_of_lost(trainer: Trainer, task: Any, numbers: range) -> str:
    """Which batch of a step is the first without finite numbers, and where it loses them.

    The batches are run once more, with other random draws.

    Args:
        trainer: of the run.
        task: that is trained.
        numbers: of the step's batches, from 1 on.

    Returns:
        Words such as `batch 7: first in the loss`, in all processes the same; empty if each batch
        alone keeps its numbers.
    """
    with undisturbed(task), trainer.precision_plugin.forward_context():
        loader = task.train_loader(numbers[0] - 1)
        for number, batch in zip(numbers, loader, strict=False):  # there is no last batch
            loss = functools.partial(task.loss, batch, task.shard)
            words = agreed(trainer, origin_of_non_finite(task.model, loss))
            if words:
                return f"batch {number}: {words}"
    return ""


def agreed(trainer: Trainer, words: str) -> str:
    """Returns the same words in all processes: those of one whose rows of the batch are lost."""
    if trainer.world_size == 1:
        return words
    all_words: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(all_words, words)
    origins = [f"{each} (process {rank})" for rank, each in enumerate(all_words) if each]
    return min(origins, key=lambda each: "gradient" in each, default="")  # others had it from there


@contextmanager
def undisturbed(task: Any) -> Iterator[None]:
    """Within, a step can be taken again; afterwards buffers and random states are as before."""
    buffers = {name: value.clone() for name, value in task.model.named_buffers()}
    states = {name: generator.get_state() for name, generator in task.generators.items()}
    training = task.model.training
    task.model.train()
    devices = [task.device] if task.device.type == "cuda" else []
    try:
        eager = torch.compiler.set_stance("force_eager")
        with eager, torch.enable_grad(), torch.random.fork_rng(devices):
            yield
    finally:
        task.model.train(training)
        for name, generator in task.generators.items():
            generator.set_state(states[name])
        for name, value in task.model.named_buffers():
            value.copy_(buffers[name])
        task.zero_grad()
