"""Our nets against the plainest correct PyTorch of the same ones, step by step in one run.

All have the run's optimiser: the twins as torch makes it of all weights, ours as `fit` does, fused
and in groups, here at a constant rate.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from tasks.bench.fit import one_process
from tasks.bench.reference_nets import GPT, WIDTHS, ResNet
from zoo.config.config import Config
from zoo.connections.additive import Residual
from zoo.errors import ConfigError
from zoo.models.cnn import CNN
from zoo.models.transformer import Transformer
from zoo.norm import Post, Pre
from zoo.report import Report

ROUNDS = 15  # at least
SECONDS = 60.0  # of process time that the rounds of a net last, about
BATCH = 64
DEPTHS = (20, 56)
GPTS = (
    {"vocabulary": 103, "depth": 12, "width": 64, "heads": 4, "context": 64},
    {"vocabulary": 65, "depth": 4, "width": 128, "heads": 4, "context": 64},
)


def table(record: dict[str, Any]) -> str:
    """Steps of our net against its twin's."""
    lines = ["| net | a step | ratio to plain PyTorch |", "| --- | --- | --- |"]
    for name, found in record["nets"].items():
        low, high = found["range"]
        ratio = f"{found['ratio']:.3f} ({low:.3f} to {high:.3f})"
        lines.append(f"| {name} | {found['ms']:.0f} ms | {ratio} |")
    lines.append(f"a batch of {BATCH} images or 16 texts, 1 thread, torch {torch.__version__}")
    return "\n".join(lines)


BuildOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


class Arm:
    """One net and its optimiser on one batch.

    Args:
        model: the net.
        build: makes its optimiser.
        x: the batch.
        y: its labels, of images or of every token.
        rough: whether it computes in bfloat16.
    """

    def __init__(
        self, model: nn.Module, build: BuildOptimizer, x: Tensor, y: Tensor, rough: bool = False
    ):
        self.model, self.x, self.y, self.rough = model, x, y, rough
        self.optimizer = build(model)
        self.step()

    def step(self) -> float:
        """Milliseconds of one training step."""
        began = time.process_time()
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.rough):
            loss = F.cross_entropy(self.model(self.x).flatten(0, -2), self.y.flatten())
        loss.backward()
        self.optimizer.step()
        return 1e3 * (time.process_time() - began)


def resnets(plain: BuildOptimizer, ours: BuildOptimizer) -> dict[str, dict[str, Arm]]:
    """ResNet-20 and -56: the twin, the twin with channels last, ours, ours in bfloat16.

    Args:
        plain: makes the optimiser of the twins.
        ours: makes that of our nets.
    """
    x, y = torch.randn(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
    last: Any = {"memory_format": torch.channels_last}
    found = {}
    for depth in DEPTHS:
        turned = ResNet(depth).to(**last)
        net = CNN(3, 10, Residual, Post(), depth=depth, width=list(WIDTHS))
        found[f"ResNet-{depth}"] = {
            "plain PyTorch": Arm(ResNet(depth), plain, x, y),
            "plain PyTorch, channels last": Arm(turned, plain, x.contiguous(**last), y),
            "this project": Arm(net, ours, x, y),
            "this project, bfloat16": Arm(copy.deepcopy(net), ours, x, y, rough=True),
        }
    return found


def transformers(plain: BuildOptimizer, ours: BuildOptimizer) -> dict[str, dict[str, Arm]]:
    """The default and nanoGPT's setting for the CPU: the twin, the twin with our optimiser, ours.

    Args:
        plain: makes the optimiser of the twin.
        ours: makes that of our net.
    """
    found = {}
    for given in GPTS:
        x = torch.randint(given["vocabulary"], (16, given["context"]))
        y = x.roll(-1, 1)
        net = Transformer(connect=Residual, norm_placement=Pre(), **given)  # type: ignore[arg-type]
        found[f"{given['depth']} blocks of width {given['width']}"] = {
            "plain PyTorch": Arm(GPT(**given), plain, x, y),
            "plain PyTorch, our optimiser": Arm(GPT(**given), ours, x, y),
            "this project": Arm(net, ours, x, y),
        }
    return found


def rounds(arms: list[Arm]) -> list[list[float]]:
    """The time of a step of every arm, many times; every second round goes the other way."""
    found: list[list[float]] = []
    with tqdm(unit="round", disable=None) as bar:
        while len(found) < ROUNDS or sum(map(sum, found)) < 1e3 * SECONDS:
            turn = -1 if len(found) % 2 else 1
            found.append([arm.step() for arm in arms[::turn]][::turn])
            bar.update()
    return found


def builders(config: Config) -> tuple[BuildOptimizer, BuildOptimizer]:
    """Make the run's optimiser: as torch does of all weights, and as `fit` does."""
    options = config.factory("optimizer")()
    make = functools.partial(options.kind, lr=options.lr, **options.rest)

    def plain(model: nn.Module) -> torch.optim.Optimizer:
        return make(model.parameters(), weight_decay=options.decays["body"])

    def ours(model: nn.Module) -> torch.optim.Optimizer:
        return make(options.groups(model), fused=True)

    return plain, ours


KNOWN = {"cnn": resnets, "transformer": transformers}


def bench(config: Config) -> Report:
    """Times the nets of a task and their twins in turn."""
    task = config.choices["task"]
    if task not in KNOWN:
        fix = f"use task={' or task='.join(KNOWN)}"
        raise ConfigError(f"task={task} has no twin", "bench", fix)
    if config.words("model."):
        fix = "leave the options of the model out"
        raise ConfigError("the twins have sizes of their own", "bench of=twin", fix)
    training = one_process(config)
    plain, ours = builders(config)
    nets: dict[str, Any] = {}
    for net, arms in KNOWN[task](plain, ours).items():
        if training.compile:
            eager = arms["this project"]
            model = copy.deepcopy(eager.model)
            model.compile()
            arms["this project, compiled"] = Arm(model, ours, eager.x, eager.y)
        times = np.array(rounds(list(arms.values())))
        for column, name in enumerate(arms):
            ratios = times[:, column] / times[:, 0]
            low, high = np.percentile(ratios, [25, 75])
            nets[f"{net}, {name}"] = {
                "ms": float(np.median(times[:, column])),
                "ratio": float(np.median(ratios)),
                "range": [float(low), float(high)],
            }
    record = {"nets": nets}
    return Report(record, table(record))
