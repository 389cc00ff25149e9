"""The CNN against the plainest correct PyTorch of the same net, step by step in one run."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.bench import one_process
from zoo.config import Config
from zoo.connections.additive import Residual
from zoo.errors import ConfigError
from zoo.models.cnn import CNN
from zoo.norm import Post

ROUNDS = 9
BATCH = 64
DEPTHS = (20, 56)
WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two convolutions and the identity, written out."""

    def __init__(self, width: int, out: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, out // width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if y.shape != x.shape:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(x + y)


class Twin(nn.Module):
    """A ResNet of He et al. 2015 for images of CIFAR's shape, option A, without this project."""

    def __init__(self, depth: int):
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        blocks, width = [], WIDTHS[0]
        for out in (out for out in WIDTHS for _ in range((depth - 2) // 6)):
            blocks.append(Block(width, out))
            width = out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(F.relu(self.norm(self.conv(x)))).mean((2, 3)))


@dataclass
class Ratios:
    """Steps of our net against its twin's.

    Args:
        record: the figures.
    """

    record: dict[str, Any]

    def table(self) -> str:
        lines = ["| net | a step | ratio to plain PyTorch |", "| --- | --- | --- |"]
        for name, found in self.record["nets"].items():
            low, high = found["range"]
            ratio = f"{found['ratio']:.3f} ({low:.3f} to {high:.3f})"
            lines.append(f"| {name} | {found['ms']:.0f} ms | {ratio} |")
        lines.append(f"a batch of {BATCH} images, 1 thread, torch {torch.__version__}")
        return "\n".join(lines)


class Arm:
    """One net and its optimiser on one batch.

    Args:
        model: the net.
        rough: whether it computes in bfloat16.
        layout: memory layout of weights and images.
    """

    def __init__(self, model: nn.Module, rough: bool, layout: torch.memory_format):
        self.model = model.to(memory_format=layout)  # type: ignore[call-overload]
        self.rough = rough
        self.x = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=layout)
        self.y = torch.arange(BATCH) % 10
        self.optimizer = torch.optim.SGD(model.parameters(), 0.1)
        self.step()

    def step(self) -> float:
        """Milliseconds of one training step."""
        began = time.process_time()
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.rough):
            loss = F.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return 1e3 * (time.process_time() - began)


def bench(config: Config) -> Ratios:
    """Times ResNet-20 and -56: the twin, the twin with channels last, ours, ours in bfloat16."""
    if config.choices["task"] != "cnn":
        raise ConfigError("there is a twin of the CNN alone", "bench", "use task=cnn")
    one_process(config)
    first, last = torch.contiguous_format, torch.channels_last
    nets: dict[str, Any] = {}
    for depth in DEPTHS:
        ours = CNN(3, 10, Residual, Post(), depth=depth, width=list(WIDTHS))
        arms = {
            "plain PyTorch": Arm(Twin(depth), False, first),
            "plain PyTorch, channels last": Arm(Twin(depth), False, last),
            "this project": Arm(ours, False, first),
            "this project, bfloat16": Arm(copy.deepcopy(ours), True, first),
        }
        times = np.array([[arm.step() for arm in arms.values()] for _ in range(ROUNDS)])
        for column, name in enumerate(arms):
            ratios = times[:, column] / times[:, 0]
            low, high = np.percentile(ratios, [25, 75])
            nets[f"ResNet-{depth}, {name}"] = {
                "ms": float(np.median(times[:, column])),
                "ratio": float(np.median(ratios)),
                "range": [float(low), float(high)],
            }
    return Ratios({"nets": nets})
