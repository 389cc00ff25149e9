"""What all optimisers share: the schedule of their rate, and the groups of weights that decay."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from tasks.training.schedule import RateSchedule, StepSchedule
from zoo.config.options import Needs
from zoo.connection import Connection
from zoo.errors import ConfigError

log = logging.getLogger("zoo")


class Optimizer:
    """Options of an optimiser; `build` makes it for the parameters of a model.

    Weights (two or more axes) decay; biases and norms do not unless asked for, and the parameters
    of connections never do.

    Args:
        lr: learning rate after warm-up.
        weight_decay: of the model's body.
        stem_decay: of its stem; None: weight_decay.
        head_decay: of its head; None: weight_decay.
        decay_biases: whether biases and norms decay as the weights beside them.
        schedule: how the rate falls after warm-up, if it does.
        warmup: steps of linear warm-up, at most half of the run.
        warmup_epochs: its passes over the training data, instead of `warmup`.

    Attributes:
        min_lr: the rate at the end of a falling schedule.
        base_batch: images of a batch for which `lr` is meant; it is scaled to the real number.
        drops: shares of all steps at which the schedule `step` multiplies the rate by `drop`.
        warmup_start: the share of the rate that warm-up begins from.
        norm_bias_rate: factor of the rate of the biases of norms.
        counts_with: for an option the key and its values with which alone it counts.
    """

    min_lr: float = 0.0
    base_batch: int | None = None
    drops: Sequence[float] = ()
    drop: float = 1.0
    warmup_start: float = 0.0
    norm_bias_rate: float = 1.0
    kind: type[torch.optim.Optimizer]
    counts_with: ClassVar[Needs] = {}

    def __init__(
        self,
        lr: float,
        weight_decay: float,
        stem_decay: float | None,
        head_decay: float | None,
        decay_biases: bool,
        schedule: StepSchedule,
        warmup: int,
        warmup_epochs: float | None,
        **rest: Any,
    ):
        if warmup and warmup_epochs is not None:
            raise ValueError(f"warmup={warmup} and warmup_epochs={warmup_epochs}: give one of them")
        if self.min_lr > lr:
            raise ValueError(f"min_lr={self.min_lr} is above lr={lr}")
        self.lr = lr
        self.decays = {"stem": stem_decay, "body": weight_decay, "head": head_decay}
        self.least_axes = 0 if decay_biases else 2  # of what decays
        self.schedule = schedule
        self.warmup, self.warmup_epochs = warmup, warmup_epochs
        self.rest = rest

    def groups(self, model: nn.Module, lr: float | None = None) -> Iterator[dict[str, Any]]:
        """Parameters grouped by their decay and rate, those without any decay last.

        What a step takes off a bias of a norm does not change with its rate.

        Args:
            model: whose parameters they are.
            lr: the rate of all others; None: `lr` of the options.
        """
        lr = self.lr if lr is None else lr
        bare = {id(p) for m in model.modules() if isinstance(m, Connection) for p in m.parameters()}
        faster = norm_biases(model) if self.norm_bias_rate != 1 else set()
        members: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            decay = self.decays.get(name.partition(".")[0])
            decay = self.decays["body"] if decay is None else decay
            decay = 0.0 if parameter.ndim < self.least_axes or id(parameter) in bare else decay
            rate = self.norm_bias_rate if id(parameter) in faster else 1.0
            members.setdefault((float(decay or 0.0) / rate, rate), []).append(parameter)
        for (decay, rate), parameters in sorted(members.items(), reverse=True):
            own = {"lr": lr * rate} if rate != 1 else {}
            yield {"params": parameters, "weight_decay": decay, **own}

    def build(
        self,
        model: nn.Module,
        steps: int,
        batch_size: int | None = None,
        epoch: float = 1.0,
    ) -> dict[str, Any]:
        """Returns the optimiser, which moves all weights at once, and its schedule for Lightning.

        Args:
            model: whose parameters it moves.
            steps: of the whole run.
            batch_size: examples of a step, where the data comes in batches.
            epoch: steps of one pass over the training data.
        """
        lr = self.lr
        if self.base_batch is not None:
            if batch_size is None:
                reason = "this task has no batches"
                raise ConfigError(reason, "optimizer.base_batch", "leave it out")
            lr *= batch_size / self.base_batch
        schedule = self.rate_schedule(steps, epoch)
        if schedule.warmup > schedule.ramp:
            epochs = self.warmup_epochs
            asked = f"warmup={self.warmup}" if epochs is None else f"warmup_epochs={epochs}"
            what = "warm-up takes half of the run, %d of %d steps, not optimizer.%s"
            log.info(what, schedule.ramp, steps, asked)
        optimizer = self.kind(self.groups(model, lr), lr=lr, fused=True, **self.rest)  # type: ignore
        if self.schedule == "constant" and not schedule.warmup:
            return {"optimizer": optimizer}
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule.factor)
        each_step = {"scheduler": scheduler, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": each_step}

    def rate_schedule(self, steps: int, epoch: float = 1.0) -> RateSchedule:
        """The schedule of the learning rate over a run.

        Args:
            steps: of the whole run.
            epoch: steps of one pass over the training data.
        """
        warmup = self.warmup
        if self.warmup_epochs is not None:
            warmup = math.ceil(self.warmup_epochs * epoch)
        lowest = self.min_lr / self.lr
        drops = (self.drops, self.drop)
        return RateSchedule(self.schedule, steps, warmup, lowest, *drops, self.warmup_start)


def norm_biases(model: nn.Module) -> set[int]:
    """The ids of the biases of all norms, which are layers whose gains have one axis.

    Errors:
        ConfigError: there are none.
    """
    gains = ((getattr(m, "weight", None), getattr(m, "bias", None)) for m in model.modules())
    found = {
        id(bias)
        for gain, bias in gains
        if isinstance(gain, nn.Parameter) and gain.ndim == 1 and bias is not None
    }
    if not found:
        what = "the model has no norm with a bias"
        raise ConfigError(what, "optimizer.norm_bias_rate", "leave it out, or give norm=post")
    return found
