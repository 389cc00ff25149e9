"""`trainer.strategy=fsdp`: a run whose processes share the memory of weights and optimiser."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from tasks.parts import placed_like, whole
from tasks.recovery.tensor_files import repeatable
from tasks.training.sharded import ShardedModel


class FSDPStrategy(DDPStrategy):
    """Trains a task whose model is in parts from the first step to the last.

    Before and after training the model is whole, in all processes. Checkpoints are those of a run
    of one process: they hold whole tensors, gathered one by one into the memory of the first
    process, and each process takes its parts of them.

    Args:
        gathered: the type in which weights of products are gathered; None: their own.
        more: of Lightning's strategy for several processes.
    """

    def __init__(self, gathered: torch.dtype | None, **more: Any):
        super().__init__(**more)
        self.gathered = gathered
        self.sharded: ShardedModel | None = None

    def model_to_device(self) -> None:
        """Leaves the model where it is: `configure_ddp` brings it to the device in parts."""

    def configure_ddp(self) -> None:
        """Divides the model, where Lightning's strategy would wrap it."""
        task: Any = self.lightning_module
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        self.sharded = ShardedModel(task.model, mesh, self.gathered)
        task.to(self.root_device)
        task.whole = self.sharded.gathered

    def post_backward(self, closure_loss: Tensor) -> None:
        """Averages the gradients that are not in parts."""
        assert self.sharded
        gradients = [each.grad for each in self.sharded.alone if each.grad is not None]
        if gradients:
            mean = self.reduce(torch.stack(gradients), reduce_op="mean")
            torch._foreach_copy_(gradients, list(mean.unbind()))

    def save_checkpoint(self, checkpoint: Any, filepath: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint of whole tensors by the first process; every process calls it."""
        super().save_checkpoint(repeatable(checkpoint, self.kept), filepath, storage_options)

    def kept(self, value: Tensor) -> Tensor | None:
        """A whole tensor in the memory of the first process; None in the others."""
        value = whole(value)
        return value.cpu() if self.is_global_zero else None

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        """Takes this process's parts of what an optimiser remembers."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            weights = [each for group in optimizer.param_groups for each in group["params"]]
            state["state"] = {
                number: {name: part_of(value, weights[number]) for name, value in values.items()}
                for number, values in state["state"].items()
            }
        super().load_optimizer_state_dict(checkpoint)

    def teardown(self) -> None:
        """Makes the model whole for what follows: without its weights where the run failed."""
        if self.sharded:
            task: Any = self.lightning_module
            self.sharded.end(read=not task.trainer.interrupted)
            self.sharded, task.whole = None, contextlib.nullcontext
        super().teardown()


def part_of(value: Any, weight: Tensor) -> Any:
    """The part of what an optimiser remembers of a weight; numbers are as they are."""
    like = isinstance(value, Tensor) and value.shape == weight.shape
    return placed_like(value, weight) if like else value
