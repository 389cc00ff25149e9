"""Where a training step loses its numbers: its batch is run once more, and no trace stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning import Trainer

from zoo.nonfinite import origin_of_non_finite


def origin_of_lost(trainer: Trainer, task: Any, number: int) -> str:
    """Says where a batch loses its numbers, on all processes together; draws are other ones.

    Args:
        trainer: of the run.
        task: that is trained.
        number: of the batch, from 1 on.
    """
    with undisturbed(task), trainer.precision_plugin.forward_context():
        loader = task.train_loader(trainer.world_size, trainer.global_rank, number - 1)
        batch = next(iter(loader))
        words = origin_of_non_finite(task.model, lambda: task.loss(batch))
    return agreed(trainer, words)


def agreed(trainer: Trainer, words: str) -> str:
    """The words of the process whose own part of the batch is lost."""
    if trainer.world_size == 1:
        return words
    found: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(found, words)
    told = [f"{w} (process {rank})" for rank, w in enumerate(found) if w]
    return min(told, key=lambda w: "gradient" in w, default="")  # others had it from there


@contextmanager
def undisturbed(task: Any) -> Iterator[None]:
    """Within, a step can be taken again; buffers and random states are as before afterwards."""
    buffers = {name: value.clone() for name, value in task.model.named_buffers()}
    draws = {name: generator.get_state() for name, generator in task.draws.items()}
    compiled, task.model._compiled_call_impl = task.model._compiled_call_impl, None
    training = task.model.training
    task.model.train()
    devices = [task.device] if task.device.type == "cuda" else []
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices):
            yield
    finally:
        task.model.train(training)
        task.model._compiled_call_impl = compiled
        for name, generator in task.draws.items():
            generator.set_state(draws[name])
        for name, value in task.model.named_buffers():
            value.copy_(buffers[name])
        task.zero_grad()
