"""`trainer.strategy=ddp`: a run of which every process holds the whole model."""

from __future__ import annotations

from typing import Any

from pytorch_lightning.strategies import DDPStrategy
from torch.distributed import broadcast


class DDP(DDPStrategy):
    """Lightning's strategy, but for validations, in which no process waits for another one.

    There Lightning calls the model in PyTorch's wrapper, which sends the buffers of the first
    process to the others at each batch. Here they are sent once, before the first one.
    """

    def on_validation_start(self) -> None:
        assert self.lightning_module
        for buffer in self.lightning_module.buffers():  # such as statistics of a process's own
            broadcast(buffer, 0)

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        assert self.lightning_module
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*args, **kwargs)
