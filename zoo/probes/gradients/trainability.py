"""What accuracy a small net reaches within a fixed number of steps."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from zoo.probes.watch.untouched import untouched
from zoo.seeding import generator

Parts = Mapping[str, tuple[Tensor, Tensor]]  # inputs and labels of `train`, `val` and `test`


def trained_accuracy(
    body: nn.Module,
    data: Parts,
    width: int,
    seed: int = 0,
    rates: Sequence[float] = (1e-4, 1e-3, 1e-2),
    epochs: int = 10,
    batch: int = 64,
) -> float:
    """The accuracy on the test part of a net that is trained with each of some learning rates.

    The rate is chosen by the accuracy on the validation part. The body stands between a linear
    layer of the inputs and one of the classes, behind ReLU. Plain SGD with momentum 0.9 at a
    constant rate, with no norm and no clipping, which would hide what the body does to gradients.

    Args:
        body: maps `[B, width]` to `[B, width]`; it is copied for each rate.
        data: inputs `[N, C]` and labels `[N]` by part: `train`, `val`, `test`.
        width: of the body.
        seed: of the other layers and of the order of the examples.
        rates: learning rates.
        epochs: passes over the training part.
        batch: examples of a step.
    """
    channels = data["train"][0].shape[1]
    classes = 1 + max(int(labels.max()) for _, labels in data.values())
    reached = []
    for rate in rates:
        first, last = nn.Linear(channels, width), nn.Linear(width, classes)
        draw((first, last), seed)
        net = nn.Sequential(first, copy.deepcopy(body), nn.ReLU(), last)
        descend(net, *data["train"], rate, epochs, batch, seed)
        reached.append([accuracy(net, *data[part]) for part in ("val", "test")])
    return max(reached, key=lambda pair: pair[0])[1]


def descend(
    net: nn.Module, inputs: Tensor, labels: Tensor, rate: float, epochs: int, batch: int, seed: int
) -> None:
    """Trains a classifier; ends where its loss is not finite."""
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9)
    order = generator(seed, "order")
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=order).split(batch):
            loss = nn.functional.cross_entropy(net(inputs[rows]), labels[rows])
            if not loss.isfinite():
                return
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@torch.no_grad()
def draw(layers: Sequence[nn.Linear], seed: int) -> None:
    """Draws linear layers with normal weights of the variance 1 / inputs, and no biases."""
    draws = generator(seed, "ends")
    for layer in layers:
        drawn = torch.randn(layer.weight.shape, generator=draws)
        layer.weight.copy_(drawn / layer.in_features**0.5)
        layer.bias.zero_()


@torch.no_grad()
def accuracy(module: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of examples for which a net's largest output is that of the label."""
    with untouched(module):
        module.eval()
        return float((module(inputs).argmax(1) == labels).double().mean())
