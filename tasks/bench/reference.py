"""The time of our nets against that of their twins, the same nets in the plainest PyTorch or PyG.

All have the run's optimiser: the twins as torch makes it of all weights, ours as `fit` does, fused
and in groups, here at a constant rate.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from tasks.bench.conditions import one_process
from tasks.bench.reference_graphs import graph_nets
from tasks.bench.reference_nets import GPT, WIDTHS, ResNet
from tasks.bench.timed_net import BuildOptimizer, TimedNet
from tasks.training.compiling import compile_model
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
    """The record as a table: the time of a step of each net, and its ratio to the twin's."""
    lines = ["| net | a step | ratio to its twin |", "| --- | --- | --- |"]
    for name, net in record["nets"].items():
        low, high = net["range"]
        ratio = f"{net['ratio']:.3f} ({low:.3f} to {high:.3f})"
        lines.append(f"| {name} | {net['ms']:.0f} ms | {ratio} |")
    batch = f"a batch of {BATCH} images or 16 texts, or a graph"
    lines.append(f"{batch}; 1 thread, torch {torch.__version__}")
    return "\n".join(lines)


def resnets(plain: BuildOptimizer, ours: BuildOptimizer) -> dict[str, dict[str, TimedNet]]:
    """ResNet-20 and -56: the twin, the twin with channels last, ours, ours in bfloat16.

    Args:
        plain: makes the optimiser of the twins.
        ours: makes that of our nets.
    """
    x, y = torch.randn(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
    last: Any = {"memory_format": torch.channels_last}
    nets = {}
    for depth in DEPTHS:
        channels_last = ResNet(depth).to(**last)
        net = CNN(3, 10, Residual, Post(), depth=depth, width=list(WIDTHS))
        nets[f"ResNet-{depth}"] = {
            "plain PyTorch": TimedNet(ResNet(depth), plain, x, y),
            "plain PyTorch, channels last": TimedNet(channels_last, plain, x.contiguous(**last), y),
            "this project": TimedNet(net, ours, x, y),
            "this project, bfloat16": TimedNet(copy.deepcopy(net), ours, x, y, bfloat16=True),
        }
    return nets


def transformers(plain: BuildOptimizer, ours: BuildOptimizer) -> dict[str, dict[str, TimedNet]]:
    """The default and nanoGPT's setting for the CPU: the twin, the twin with our optimiser, ours.

    Args:
        plain: makes the optimiser of the twin.
        ours: makes that of our net.
    """
    nets = {}
    for sizes in GPTS:
        x = torch.randint(sizes["vocabulary"], (16, sizes["context"]))
        y = x.roll(-1, 1)
        net = Transformer(connect=Residual, norm_placement=Pre(), **sizes)  # type: ignore[arg-type]
        nets[f"{sizes['depth']} blocks of width {sizes['width']}"] = {
            "plain PyTorch": TimedNet(GPT(**sizes), plain, x, y),
            "plain PyTorch, our optimiser": TimedNet(GPT(**sizes), ours, x, y),
            "this project": TimedNet(net, ours, x, y),
        }
    return nets


def timed_rounds(nets: list[TimedNet]) -> list[list[float]]:
    """The milliseconds of a step of each net in many rounds; every second one goes backwards."""
    times: list[list[float]] = []
    with tqdm(unit="round", disable=None) as bar:
        while len(times) < ROUNDS or sum(map(sum, times)) < 1e3 * SECONDS:
            order = -1 if len(times) % 2 else 1
            times.append([net.step() for net in nets[::order]][::order])
            bar.update()
    return times


def builders(config: Config) -> tuple[BuildOptimizer, BuildOptimizer]:
    """Functions that make the run's optimiser: as torch does of all weights, and as `fit` does."""
    options = config.factory("optimizer")()
    make = functools.partial(options.kind, lr=options.lr, **options.rest)

    def plain(model: nn.Module) -> torch.optim.Optimizer:
        return make(model.parameters(), weight_decay=options.decays["body"])

    def ours(model: nn.Module) -> torch.optim.Optimizer:
        return make(options.groups(model), fused=True)

    return plain, ours


NETS = {"cnn": resnets, "transformer": transformers, "gnn": graph_nets}


def bench(config: Config) -> Report:
    """Measures a training step of the nets of a task and of their twins, in turn."""
    task = config.choices["task"]
    if task not in NETS:
        fix = f"use task={' or task='.join(NETS)}"
        raise ConfigError(f"task={task} has no twin", "bench", fix)
    for kind in ("model.", "connection", "norm", "init"):
        for word in config.words(kind):
            raise ConfigError("the twins are nets of their own", word, "leave it out")
    training = one_process(config)
    plain, ours = builders(config)
    costs: dict[str, Any] = {}
    for title, nets in NETS[task](plain, ours).items():
        if training.compile:
            eager = nets["this project"]
            model = copy.deepcopy(eager.model)
            compile_model(model, training.compile)
            nets["this project, compiled"] = TimedNet(model, ours, eager.x, eager.y)
        times = np.array(timed_rounds(list(nets.values())))
        for column, name in enumerate(nets):
            ratios = times[:, column] / times[:, 0]
            low, high = np.percentile(ratios, [25, 75])
            costs[f"{title}, {name}"] = {
                "ms": float(np.median(times[:, column])),
                "ratio": float(np.median(ratios)),
                "range": [float(low), float(high)],
            }
    record = {"nets": costs}
    return Report(record, table(record))
