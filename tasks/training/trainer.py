"""Options of training and the Lightning trainer that they make."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Lt

from tasks.recovery.nonfinite import OnNonFinite
from tasks.training.devices import Devices, devices_here, environment, in_words
from tasks.training.precision import Matmul
from tasks.training.strategies import Strategy, for_evaluation, for_training, sharing, synchronised
from zoo.config.options import Needs
from zoo.system.launch import launch

Steps = Annotated[int, Ge(1)]


class TrainerOptions:
    """How long, on what and how precisely to train.

    Args:
        max_steps: optimiser steps.
        max_epochs: passes over the training data. A limit of the command line, a file or a preset
            takes the place of the task's own; where both are given the smaller one ends the run.
        validate_every: steps between two validations.
        patience: steps without a better validation loss after which training stops.
        accelerator: `auto` takes a GPU where there is one.
        devices: GPUs, or processes on the CPU; `auto`: every GPU, or one process on the CPU. Under
            torchrun and srun there are as many as these have started.
        strategy: what several devices hold: `ddp` the whole model each; `fsdp` each a share of
            weights, gradients and optimiser. `auto`: ddp for several devices.
        precision: of Lightning: `32-true`, `bf16-mixed`, `16-mixed` (GPU only).
        matmul: products of float32: `highest` in float32; `high` on a GPU in TF32, convolutions
            too; `medium` as PyTorch likes. None: `high` on a GPU, else `highest`.
        clip: largest norm of the gradient.
        accumulate: batches a step.
        ema: decay of a running average of the weights, and of the running statistics of batch
            norms, that evaluation uses.
        lookahead: steps after which the weights return to a slow average of themselves.
        compile: whether every write is compiled, those of one kind once, so that it takes as long
            for a deep net; `whole`: the model as one, which can be faster and takes longer.
        graphs: whether a GPU repeats recorded steps, one CUDA graph for each shape of a batch, so
            that the host is no brake. Weights are as without it, bit for bit where kernels repeat.
        deterministic: whether a GPU takes kernels that repeat bit for bit, where PyTorch has some;
            the log and the result name the others. Runs on a CPU repeat without it.
        log_every: steps between two rows of the log.
        save_minutes: between checkpoints.
        hang_seconds: without a step after which a run is ended as hung, with the stacks of the
            processes that still answer in its log; at the start, in the first validation, in a
            checkpoint and in the evaluation ten times as many, without a batch. None: ten median
            steps, and at least a minute; outside of steps half an hour. 0: never.
        on_nonfinite: what follows a step whose loss or gradient is not finite. `stop`: the run has
            diverged. `skip`: the step is left out, weights and running statistics stay.
            `rollback`: the run returns to its last validation and goes on with the batches after
            the lost one; for that it writes `rollback.ckpt` at every validation.
        nonfinite_limit: steps left out, or returns, after which the run has diverged all the same.

    Errors:
        ValueError: no limit; fp16 on the CPU.
        ConfigError: more devices than there are.
    """

    counts_with: ClassVar[Needs] = {
        "nonfinite_limit": (("trainer.on_nonfinite", ("skip", "rollback")),)
    }

    def __init__(
        self,
        max_steps: Steps | None = None,
        max_epochs: Steps | None = None,
        validate_every: Steps = 20,
        patience: Steps | None = None,
        accelerator: Literal["auto", "cpu", "gpu"] = "auto",
        devices: Devices = 1,
        strategy: Strategy = "auto",
        precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true",
        matmul: Matmul | None = None,
        clip: Annotated[float, Gt(0)] | None = None,
        accumulate: Steps = 1,
        ema: Annotated[float, Gt(0), Lt(1)] | None = None,
        lookahead: Steps | None = None,
        compile: bool | Literal["whole"] = False,
        graphs: bool = False,
        deterministic: bool = False,
        log_every: Steps = 10,
        save_minutes: Annotated[float, Ge(0)] = 5.0,
        hang_seconds: Annotated[float, Ge(0)] | None = None,
        on_nonfinite: OnNonFinite = "stop",
        nonfinite_limit: Steps = 10,
    ):
        if max_steps is None and max_epochs is None:
            raise ValueError("give max_steps or max_epochs")
        self.max_steps, self.max_epochs = max_steps, max_epochs
        self.validate_every, self.patience = validate_every, patience
        gpus = torch.cuda.device_count()
        self.accelerator = ("gpu" if gpus else "cpu") if accelerator == "auto" else accelerator
        self.devices, self.nodes = devices_here(devices, self.accelerator), launch().nodes
        self.processes = self.devices * self.nodes
        self.on = in_words(self.processes, self.nodes, self.accelerator, devices)
        self.precision = precision
        self.matmul: Matmul = matmul or ("high" if self.accelerator == "gpu" else "highest")
        self.clip, self.accumulate, self.ema, self.compile = clip, accumulate, ema, compile
        self.lookahead, self.graphs, self.deterministic = lookahead, graphs, deterministic
        self.log_every, self.save_minutes = log_every, save_minutes
        self.hang_seconds = hang_seconds
        self.on_nonfinite, self.nonfinite_limit = on_nonfinite, nonfinite_limit
        self.extra_callbacks: list[Any] = []  # callbacks of a verb, called before those of the run
        if precision == "16-mixed" and self.accelerator == "cpu":
            raise ValueError("precision=16-mixed needs a GPU; bf16-mixed runs on the CPU")
        self.strategy = sharing(strategy, self.processes)

    def steps(self, task: Any) -> int:
        """The optimiser steps of a run: the smaller of the two limits."""
        return min(self.limits(task).values())

    def limits(self, task: Any) -> dict[str, int]:
        """The optimiser steps that each limit allows, by its words on the command line."""
        limits = {}
        if self.max_steps:
            limits[f"trainer.max_steps={self.max_steps}"] = self.max_steps
        if self.max_epochs:
            batches = self.max_epochs * task.batches_per_pass()
            words = f"trainer.max_epochs={self.max_epochs}"
            limits[words] = math.ceil(batches / self.accumulate)
        return limits

    def epochs(self, task: Any, steps: int) -> float:
        """The passes over the training data in a number of steps."""
        return steps * self.accumulate / task.batches_per_pass()

    def trainer(self, task: Any, callbacks: Sequence[Any], plugins: Sequence[Any] = ()) -> Any:
        """A Lightning trainer that leaves logs, bars and files to our callbacks."""
        from pytorch_lightning import Trainer

        from tasks.training.ema import EMA
        from tasks.training.graphs import StepGraphs
        from tasks.training.lookahead import Lookahead
        from tasks.training.loss_scaling import MixedPrecision
        from tasks.training.unprofiled import Unprofiled

        averaging: list[Any] = [Lookahead(self.lookahead)] if self.lookahead else []
        averaging += [EMA(self.ema)] if self.ema else []
        graphs = [StepGraphs(self)] if self.graphs else []
        fp16 = [MixedPrecision("cuda")] if self.precision == "16-mixed" else []
        if self.devices > 1 and self.accelerator == "cpu":
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // self.devices))
        return Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.nodes,
            strategy=for_training(self),
            precision=None if fp16 else self.precision,
            sync_batchnorm=synchronised(self, task),
            max_steps=self.steps(task),
            max_epochs=-1,
            val_check_interval=self.validate_every * self.accumulate,
            check_val_every_n_epoch=None,
            gradient_clip_val=self.clip,
            accumulate_grad_batches=self.accumulate,
            callbacks=[*averaging, *graphs, *self.extra_callbacks, *callbacks],
            plugins=[environment(), *plugins, *fp16],
            profiler=Unprofiled(),
            use_distributed_sampler=False,
            **QUIET,
        )

    def evaluator(self) -> Any:
        """A Lightning trainer for evaluation alone."""
        from pytorch_lightning import Trainer

        return Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.nodes,
            strategy=for_evaluation(self),
            precision=self.precision,
            plugins=[environment()],
            use_distributed_sampler=False,
            inference_mode=False,  # as in the validations of `fit`, whose compiled code it takes
            **QUIET,
        )


QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}
