"""The optimisers and their options."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le, Lt

from tasks.training.optim import Optimizer
from tasks.training.schedule import Schedule, StepSchedule
from zoo.config.options import Needs
from zoo.config.sizes import Batch

Rate = Annotated[float, Gt(0)]
Decay = Annotated[float, Ge(0)]
Epochs = Annotated[float, Gt(0)]
Beta = Annotated[float, Ge(0), Lt(1)]
FALLING = (("optimizer.schedule", ("cosine", "linear")),)  # schedules that end at min_lr


class Adam(Optimizer):
    """Adam with L2 decay (Kingma and Ba 2015, arXiv:1412.6980)."""

    kind: type[torch.optim.Optimizer] = torch.optim.Adam

    def __init__(
        self,
        lr: Rate = 0.01,
        weight_decay: Decay = 5e-4,
        stem_decay: Decay | None = None,
        head_decay: Decay | None = None,
        decay_biases: bool = False,
        beta1: Beta = 0.9,
        beta2: Beta = 0.999,
        schedule: Schedule = "constant",
        warmup: Annotated[int, Ge(0)] = 0,
        warmup_epochs: Epochs | None = None,
    ):
        decays = (weight_decay, stem_decay, head_decay, decay_biases)
        rates = (schedule, warmup, warmup_epochs)
        super().__init__(lr, *decays, *rates, betas=(beta1, beta2))


class AdamW(Adam):
    """Adam with decoupled decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        min_lr: the rate at the end of a falling schedule, at most `lr`.
    """

    kind = torch.optim.AdamW
    counts_with: ClassVar[Needs] = {"min_lr": FALLING}

    def __init__(
        self,
        lr: Rate = 1e-3,
        weight_decay: Decay = 0.01,
        stem_decay: Decay | None = None,
        head_decay: Decay | None = None,
        decay_biases: bool = False,
        beta1: Beta = 0.9,
        beta2: Beta = 0.999,
        schedule: Schedule = "constant",
        warmup: Annotated[int, Ge(0)] = 0,
        warmup_epochs: Epochs | None = None,
        min_lr: Decay = 0.0,
    ):
        self.min_lr = min_lr
        decays = (weight_decay, stem_decay, head_decay, decay_biases)
        super().__init__(lr, *decays, beta1, beta2, schedule, warmup, warmup_epochs)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    Args:
        schedule: also `step`: at the shares `drops` of all steps the rate is multiplied by `drop`.
        warmup_start: the share of `lr` that warm-up begins from.
        min_lr: the rate at the end of a falling schedule, at most `lr`.
        norm_bias_rate: factor of the rate of the biases of norms; where they decay, a step takes as
            much off as without it.
        base_batch: the size of a batch for which `lr` is meant; the rate grows in proportion to
            the real one (Goyal et al. 2017, arXiv:1706.02677). None: `lr` as it is.
    """

    kind = torch.optim.SGD
    counts_with: ClassVar[Needs] = {
        "min_lr": FALLING,
        **dict.fromkeys(("drops", "drop"), (("optimizer.schedule", ("step",)),)),
    }

    def __init__(
        self,
        lr: Rate = 0.1,
        weight_decay: Decay = 1e-4,
        stem_decay: Decay | None = None,
        head_decay: Decay | None = None,
        decay_biases: bool = False,
        momentum: Beta = 0.9,
        nesterov: bool = True,
        schedule: StepSchedule = "constant",
        warmup: Annotated[int, Ge(0)] = 0,
        warmup_epochs: Epochs | None = None,
        drops: list[Annotated[float, Gt(0), Lt(1)]] = [0.5, 0.75],  # noqa: B006
        drop: Annotated[float, Gt(0), Lt(1)] = 0.1,
        base_batch: Batch | None = None,
        warmup_start: Annotated[float, Ge(0), Le(1)] = 0.0,
        min_lr: Decay = 0.0,
        norm_bias_rate: Annotated[float, Gt(0)] = 1.0,
    ):
        self.warmup_start, self.min_lr = warmup_start, min_lr
        self.norm_bias_rate = norm_bias_rate
        self.drops, self.drop, self.base_batch = drops, drop, base_batch
        if warmup_start and not (warmup or warmup_epochs):
            raise ValueError(f"warmup_start={warmup_start} is of a warm-up; give its steps")
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum above 0")
        decays = (weight_decay, stem_decay, head_decay, decay_biases)
        rates = (schedule, warmup, warmup_epochs)
        super().__init__(lr, *decays, *rates, momentum=momentum, nesterov=nesterov)
